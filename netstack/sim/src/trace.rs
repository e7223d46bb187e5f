//! What passed, for a digest, for a person, and for a capture file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::frame::{Frame, line};
use penstock_fault::mix;

/// Follows the frames of a world.
#[derive(Debug, Default)]
pub struct Trace {
    digest: u64,
    frames: u64,
    prints: bool,
    tells: bool,
    capture: Option<BufWriter<File>>,
}

impl Trace {
    /// A digest and nothing else.
    pub fn quiet() -> Trace {
        Trace::default()
    }

    /// Keeps the story.
    pub fn story() -> Trace {
        Trace { tells: true, ..Trace::default() }
    }

    /// Prints every frame to standard output as it passes.
    pub fn printing(self) -> Trace {
        Trace { prints: true, ..self }
    }

    /// Writes every frame that leaves a station to a pcap file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn capturing(self, path: &Path) -> io::Result<Trace> {
        let mut file = BufWriter::new(File::create(path)?);
        // pcap, microseconds, Ethernet.
        for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1] {
            file.write_all(&word.to_le_bytes())?;
        }
        Ok(Trace { capture: Some(file), ..self })
    }

    pub(crate) fn tells_story(&self) -> bool {
        self.tells
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// A frame at a port: `>` leaves it, `<` reaches it.
    pub(crate) fn frame(&mut self, now_us: u64, port: usize, direction: char, frame: &Frame) {
        self.frames += 1;
        self.digest = mix(self.digest ^ now_us ^ (port as u64) << 48 ^ (direction as u64) << 40);
        for piece in frame.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            self.digest = mix(self.digest ^ u64::from_le_bytes(word));
        }
        if self.prints {
            println!("{:>13.6} {port}{direction} {}", now_us as f64 / 1e6, line(frame));
        }
        if direction != '<'
            && let Some(capture) = &mut self.capture
        {
            let bytes = frame.len() as u32;
            let head = [(now_us / 1_000_000) as u32, (now_us % 1_000_000) as u32, bytes, bytes];
            let outcome = head
                .iter()
                .try_for_each(|word| capture.write_all(&word.to_le_bytes()))
                .and_then(|()| capture.write_all(frame));
            if outcome.is_err() {
                self.capture = None;
            }
        }
    }
}
