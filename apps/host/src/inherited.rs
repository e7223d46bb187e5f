//! Sockets that the process was started with, as `fd@3` names them, and the files of this machine.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use penstock_config::haproxy::BindAddress;
use penstock_config::haproxy::grammar::Files;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::check::Disk;

/// What a configuration may name on this machine. Remembers the sockets that it did name.
#[derive(Debug, Default)]
pub(crate) struct Given {
    sockets: RefCell<Vec<(BindAddress, TcpListener)>>,
}

impl Given {
    /// The sockets that were named, and where they listen.
    pub(crate) fn into_sockets(self) -> Vec<(BindAddress, TcpListener)> {
        self.sockets.into_inner()
    }
}

impl Files for Given {
    fn bytes(&self, path: &str) -> Option<Cow<'_, [u8]>> {
        Disk.bytes(path)
    }

    fn socket(&self, descriptor: &str) -> Option<BindAddress> {
        let listener = TcpListener::from(duplicate(descriptor.parse().ok()?)?);
        let at = place(listener.local_addr().ok()?);
        self.sockets.borrow_mut().push((at, listener));
        Some(at)
    }
}

/// An address of Linux's, as the configuration has it.
pub(crate) fn place(address: SocketAddr) -> BindAddress {
    BindAddress { addr: address.ip().into(), port: address.port() }
}

/// Another descriptor of an open file. To make one's own of a bare number would be `unsafe`; to ask
/// Linux for a file of a process by its number is not.
fn duplicate(descriptor: u32) -> Option<OwnedFd> {
    let descriptor = i32::try_from(descriptor).ok()?;
    let this = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
    pidfd_getfd(this, descriptor, PidfdGetfdFlags::empty()).ok()
}

#[cfg(test)]
mod tests {
    //! A number that names an open socket finds it.

    use std::net::TcpStream;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn sockets_by_number() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let given = Given::default();
        let number = listener.as_raw_fd().to_string();
        assert_eq!(given.socket(&number), Some(place(address)));
        drop(listener);
        TcpStream::connect(address).expect("still open");
        assert_eq!(given.into_sockets().len(), 1);
        for number in ["99999", "-1", "x", ""] {
            assert_eq!(Given::default().socket(number), None, "{number}");
        }
    }
}
