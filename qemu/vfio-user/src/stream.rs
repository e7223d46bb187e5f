//! A unix stream socket in QEMU's framing: each frame behind its length, 32 bits big endian.
//!
//! `-netdev stream` of QEMU and passt speak it. Nothing blocks: what the peer does not take in time
//! is lost whole, never in part, so the framing stays in step. The end that listens takes the next
//! peer when one has gone.

use penstock_nic82599::{FRAME_MAX, Wire};
use rustix::event::epoll;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

pub(crate) struct Stream {
    listener: Option<UnixListener>,
    /// `None` before a peer has come and once it has gone or has broken the framing.
    peer: Option<UnixStream>,
    /// Readable when the listener or the peer is.
    ready: OwnedFd,
    received: Vec<u8>,
    unsent: Vec<u8>,
}

impl Stream {
    /// Connects to `path`.
    pub(crate) fn connect(path: &Path) -> io::Result<Stream> {
        let mut stream = Stream::new(None)?;
        stream.meet(UnixStream::connect(path)?)?;
        Ok(stream)
    }

    /// Listens at `path`; until a peer has come, what is sent is lost.
    pub(crate) fn listen(path: &Path) -> io::Result<Stream> {
        remove_stale(path)?;
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Stream::new(Some(listener))
    }

    fn new(listener: Option<UnixListener>) -> io::Result<Stream> {
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        if let Some(listener) = &listener {
            epoll::add(&ready, listener, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        Ok(Stream { listener, peer: None, ready, received: Vec::new(), unsent: Vec::new() })
    }

    /// A descriptor that is readable when there may be something to receive.
    pub(crate) fn watched(&self) -> io::Result<OwnedFd> {
        self.ready.try_clone()
    }

    fn meet(&mut self, peer: UnixStream) -> io::Result<()> {
        peer.set_nonblocking(true)?;
        epoll::add(&self.ready, &peer, epoll::EventData::new_u64(1), epoll::EventFlags::IN)?;
        self.peer = Some(peer);
        Ok(())
    }

    /// Takes the next peer, if we listen and have none.
    fn accept(&mut self) {
        if self.peer.is_none()
            && let Some(listener) = &self.listener
            && let Ok((peer, _)) = listener.accept()
            && let Err(error) = self.meet(peer)
        {
            eprintln!("penstock-nic82599: stream: {error}");
        }
    }

    fn lose(&mut self, why: &str) {
        eprintln!("penstock-nic82599: stream: {why}");
        if let Some(peer) = self.peer.take() {
            // Closing does the same, unless the peer was inherited by somebody.
            let _ = epoll::delete(&self.ready, &peer);
        }
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

/// Removes a socket that a crashed run left behind, so that the next one can listen; nothing else.
pub(crate) fn remove_stale(path: &Path) -> io::Result<()> {
    let stale = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if stale { std::fs::remove_file(path) } else { Ok(()) }
}

impl Wire for Stream {
    fn send(&mut self, _now_us: u64, _queue: u32, frame: &[u8]) {
        self.accept();
        if self.flush() {
            self.unsent.extend((frame.len() as u32).to_be_bytes());
            self.unsent.extend(frame);
            self.flush();
        }
    }

    fn recv(&mut self, _now_us: u64, into: &mut [u8]) -> Option<usize> {
        self.accept();
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
        let mut stream = Stream::new(None).expect("an epoll descriptor");
        stream.meet(ours).expect("nonblocking");
        (stream, theirs)
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

    #[test]
    fn the_end_that_listens_takes_one_peer_after_another() {
        let path = std::env::temp_dir().join(format!("penstock-stream-{}", std::process::id()));
        let mut stream = Stream::listen(&path).expect("a free path");
        stream.send(0, 0, b"nobody hears this");
        let mut into = vec![0; FRAME_MAX];
        for _ in 0..3 {
            let mut peer = UnixStream::connect(&path).expect("it listens");
            peer.write_all(&[0, 0, 0, 2, b'h', b'i']).expect("open");
            assert_eq!(stream.recv(0, &mut into), Some(2));
            stream.send(0, 0, b"hello");
            let mut answer = [0; 9];
            peer.read_exact(&mut answer).expect("answered");
            assert_eq!(&answer[4..], b"hello");
            drop(peer);
            assert_eq!(stream.recv(0, &mut into), None, "it has gone");
        }
        drop(stream);
        drop(Stream::listen(&path).expect("what is left behind is in nobody's way"));
        std::fs::remove_file(&path).expect("ours");
        std::fs::write(&path, "a file").expect("space");
        assert!(Stream::listen(&path).is_err(), "but a file is not removed");
        std::fs::remove_file(&path).expect("ours");
    }
}
