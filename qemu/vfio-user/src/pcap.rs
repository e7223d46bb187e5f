//! A recorder on a wire: every frame that passes, in the pcap file format; or the last of them.

use penstock_nic82599::Wire;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub(crate) struct Recorded<W> {
    pub(crate) inner: W,
    tape: Option<Tape>,
}

/// Where frames are recorded.
struct Tape {
    file: File,
    path: PathBuf,
    /// Bytes in the file.
    written: u64,
    /// With so many, it becomes `PATH.1`, and a new one begins.
    written_max: u64,
}

impl<W: Wire> Recorded<W> {
    /// Records nothing.
    pub(crate) fn off(inner: W) -> Recorded<W> {
        Recorded { inner, tape: None }
    }

    /// Records what passes `inner` into a new file at `path`; of long recordings, what the last
    /// `ring` bytes hold, and as much again.
    pub(crate) fn new(inner: W, path: &Path, ring: Option<u64>) -> io::Result<Recorded<W>> {
        let tape = Tape {
            file: begin(path)?,
            path: path.to_path_buf(),
            written: 0,
            written_max: ring.unwrap_or(u64::MAX),
        };
        Ok(Recorded { inner, tape: Some(tape) })
    }

    fn record(&mut self, now_us: u64, frame: &[u8]) {
        let Some(tape) = &mut self.tape else { return };
        // A full disk ends the recording, not the card.
        let _ = tape.record(now_us, frame);
    }
}

impl Tape {
    fn record(&mut self, now_us: u64, frame: &[u8]) -> io::Result<()> {
        if self.written >= self.written_max {
            let mut before = self.path.clone().into_os_string();
            before.push(".1");
            std::fs::rename(&self.path, before)?;
            self.file = begin(&self.path)?;
            self.written = 0;
        }
        let length = frame.len() as u32;
        let words = [(now_us / 1_000_000) as u32, (now_us % 1_000_000) as u32, length, length];
        let mut bytes = Vec::with_capacity(16 + frame.len());
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(frame);
        self.written += bytes.len() as u64;
        self.file.write_all(&bytes)
    }
}

/// A new file with a header and no frames.
fn begin(path: &Path) -> io::Result<File> {
    let mut file = File::create(path)?;
    let mut header = Vec::with_capacity(24);
    header.extend(0xA1B2_C3D4u32.to_le_bytes());
    header.extend([2, 0, 4, 0]);
    header.extend([0; 8]);
    header.extend(SNAP_BYTES.to_le_bytes());
    header.extend(ETHERNET.to_le_bytes());
    file.write_all(&header)?;
    Ok(file)
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

#[cfg(test)]
mod tests {
    //! A long recording keeps its end, in two files that each begin with a header.
    use super::*;
    use penstock_nic82599::Cable;

    #[test]
    fn a_ring_keeps_the_last_frames() {
        let folder = std::env::temp_dir().join(format!("penstock-pcap-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("ring.pcap");
        let mut cable = Cable::default();
        let mut wire = Recorded::new(cable.end(0), &path, Some(1000)).expect("a file");
        for at in 0..30u8 {
            wire.send(u64::from(at), 0, &[at; 100]);
        }
        let read = |name: &str| std::fs::read(folder.join(name)).expect("a recording");
        let (now, before) = (read("ring.pcap"), read("ring.pcap.1"));
        // Nine records of 116 bytes are the first to reach 1000: frames 18 to 26, then 27 to 29.
        assert_eq!((before.len(), now.len()), (24 + 9 * 116, 24 + 3 * 116));
        assert_eq!((before[24 + 16], now[24 + 16]), (18, 27));
        assert_eq!(before[..24], now[..24]);
        std::fs::remove_dir_all(&folder).expect("gone");
    }
}
