//! A recorder on a wire: every frame that passes, in the pcap file format.

use penstock_nic82599::Wire;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

pub(crate) struct Recorded<W> {
    pub(crate) inner: W,
    file: Option<File>,
}

impl<W: Wire> Recorded<W> {
    /// Records nothing.
    pub(crate) fn off(inner: W) -> Recorded<W> {
        Recorded { inner, file: None }
    }

    /// Records what passes `inner` into a new file at `path`.
    pub(crate) fn new(inner: W, path: &Path) -> io::Result<Recorded<W>> {
        let mut file = File::create(path)?;
        let mut header = Vec::with_capacity(24);
        header.extend(0xA1B2_C3D4u32.to_le_bytes());
        header.extend([2, 0, 4, 0]);
        header.extend([0; 8]);
        header.extend(SNAP_BYTES.to_le_bytes());
        header.extend(ETHERNET.to_le_bytes());
        file.write_all(&header)?;
        Ok(Recorded { inner, file: Some(file) })
    }

    fn record(&mut self, now_us: u64, frame: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let length = frame.len() as u32;
        let words = [(now_us / 1_000_000) as u32, (now_us % 1_000_000) as u32, length, length];
        let mut bytes = Vec::with_capacity(16 + frame.len());
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(frame);
        // A full disk ends the recording, not the card.
        let _ = file.write_all(&bytes);
    }
}

impl<W: Wire> Wire for Recorded<W> {
    fn send(&mut self, now_us: u64, queue: u32, frame: &[u8]) {
        self.record(now_us, frame);
        self.inner.send(now_us, queue, frame);
    }

    fn recv(&mut self, now_us: u64, into: &mut [u8]) -> Option<usize> {
        let length = self.inner.recv(now_us, into)?;
        if let Some(frame) = into.get(..length) {
            self.record(now_us, frame);
        }
        Some(length)
    }

    fn deadline_us(&self) -> Option<u64> {
        self.inner.deadline_us()
    }
}

const SNAP_BYTES: u32 = 262_144;
const ETHERNET: u32 = 1;
