//! A unix stream socket in QEMU's framing: each frame behind its length, 32 bits big endian.
//!
//! `-netdev stream` of QEMU and passt speak it. Nothing blocks: what the peer does not take in time
//! is lost whole, never in part, so the framing stays in step.

use penstock_nic82599::{FRAME_MAX, Wire};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

pub(crate) struct Stream {
    /// `None` once the peer has gone or has broken the framing.
    peer: Option<UnixStream>,
    received: Vec<u8>,
    unsent: Vec<u8>,
}

impl Stream {
    /// Connects to `path`, or listens there and waits for one peer.
    pub(crate) fn open(path: &Path, server: bool) -> io::Result<Stream> {
        let peer =
            if server { UnixListener::bind(path)?.accept()?.0 } else { UnixStream::connect(path)? };
        Stream::new(peer)
    }

    fn new(peer: UnixStream) -> io::Result<Stream> {
        peer.set_nonblocking(true)?;
        Ok(Stream { peer: Some(peer), received: Vec::new(), unsent: Vec::new() })
    }

    /// A copy of the descriptor, to wait on.
    pub(crate) fn watched(&self) -> io::Result<Vec<OwnedFd>> {
        self.peer.iter().map(|peer| peer.try_clone().map(OwnedFd::from)).collect()
    }

    fn lose(&mut self, why: &str) {
        eprintln!("penstock-nic82599: stream: {why}");
        self.peer = None;
        self.received.clear();
        self.unsent.clear();
    }

    /// Sends what is left over; true if nothing is.
    fn flush(&mut self) -> bool {
        while !self.unsent.is_empty() {
            let Some(peer) = &mut self.peer else { return false };
            match peer.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.lose(&error.to_string());
                    return false;
                }
            }
        }
        self.peer.is_some()
    }

    /// Takes the first whole frame out of what was received.
    fn take(&mut self, into: &mut [u8]) -> Option<usize> {
        let length = u32::from_be_bytes(*self.received.first_chunk()?) as usize;
        if length > FRAME_MAX.min(into.len()) {
            self.lose("the peer sent a frame longer than any card takes");
            return None;
        }
        into[..length].copy_from_slice(self.received.get(4..4 + length)?);
        self.received.drain(..4 + length);
        Some(length)
    }
}

impl Wire for Stream {
    fn send(&mut self, _now_us: u64, _queue: u32, frame: &[u8]) {
        if self.flush() {
            self.unsent.extend((frame.len() as u32).to_be_bytes());
            self.unsent.extend(frame);
            self.flush();
        }
    }

    fn recv(&mut self, _now_us: u64, into: &mut [u8]) -> Option<usize> {
        if let Some(length) = self.take(into) {
            return Some(length);
        }
        let mut part = [0; 65_536];
        loop {
            match self.peer.as_mut()?.read(&mut part) {
                Ok(0) => {
                    self.lose("the peer has closed");
                    return None;
                }
                Ok(length) => self.received.extend(&part[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => {
                    self.lose(&error.to_string());
                    return None;
                }
            }
            if let Some(length) = self.take(into) {
                return Some(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Proves framing under partial reads, back-pressure and a hostile length.
    use super::*;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        (Stream::new(ours).expect("nonblocking"), theirs)
    }

    #[test]
    fn frames_survive_any_cut() {
        let (mut stream, mut peer) = pair();
        let mut into = vec![0; FRAME_MAX];
        let bytes: Vec<u8> = [&[0, 0, 0, 3][..], b"one", &[0, 0, 0, 4], b"four"].concat();
        let mut frames = Vec::new();
        for byte in bytes {
            peer.write_all(&[byte]).expect("open");
            while let Some(length) = stream.recv(0, &mut into) {
                frames.push(into[..length].to_vec());
            }
        }
        assert_eq!(frames, [b"one".to_vec(), b"four".to_vec()]);
    }

    #[test]
    fn a_slow_peer_loses_whole_frames() {
        let (mut stream, mut peer) = pair();
        for _ in 0..10_000 {
            stream.send(0, 0, &[7; 1000]);
        }
        peer.set_nonblocking(true).expect("ours");
        let mut all = Vec::new();
        // Reading and flushing in turn empties both sides.
        for _ in 0..100 {
            let _ = peer.read_to_end(&mut all);
            stream.flush();
        }
        assert!(!all.is_empty() && all.len().is_multiple_of(1004), "{} bytes", all.len());
        assert!(all.chunks(1004).all(|frame| frame[..4] == [0, 0, 3, 232]));
    }

    #[test]
    fn a_hostile_length_ends_the_wire() {
        let (mut stream, mut peer) = pair();
        peer.write_all(&[0xFF; 8]).expect("open");
        assert_eq!(stream.recv(0, &mut vec![0; FRAME_MAX]), None);
        assert!(stream.peer.is_none());
        stream.send(0, 0, b"nobody");
    }
}
