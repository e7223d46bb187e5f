//! From Linux's listening sockets to our listeners.
//!
//! ```text
//!   client ─▶ 127.0.0.1:P, a socket of Linux's ─▶ here ─▶ 169.254.x.y:P, a listener of our stack
//!                          FIN as FIN, RST as RST, both ways
//! ```
//! Whoever starts `haproxy` may have opened its sockets, and clients may be waiting there before we
//! run: they are connections of Linux's stack, so somebody has to carry their bytes. Each begins with a
//! PROXY header that says who it is and where it came to, unless the listener's clients send one of
//! their own. An end goes on behind the last byte before it, a reset at once; nothing is read that
//! could not be handed on, beyond one buffer for each direction. Servers need no porter: to them our
//! stack connects by itself.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_linger, set_tcp_quickack};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

/// A listening socket of Linux's.
#[derive(Debug)]
pub(crate) struct Door {
    /// The socket.
    pub(crate) listener: TcpListener,
    /// The listener of our stack behind it.
    pub(crate) to: SocketAddrV4,
    /// Connections begin with a PROXY header of ours.
    pub(crate) announces: bool,
}

/// Opens the doors. They are closed when what is returned is dropped; whoever is inside stays.
///
/// # Errors
/// What Linux says.
pub(crate) fn open(doors: Vec<Door>) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    theirs.set_nonblocking(true)?;
    for door in &doors {
        door.listener.set_nonblocking(true)?;
    }
    let mut porter = Porter { doors, keeper: Some(theirs), guests: Vec::new() };
    thread::Builder::new().name("porter".into()).spawn(move || porter.run())?;
    Ok(ours)
}

struct Porter {
    doors: Vec<Door>,
    /// Its other end is held by whoever wants the doors to be open.
    keeper: Option<UnixStream>,
    guests: Vec<Guest>,
}

impl Porter {
    fn run(&mut self) {
        while self.keeper.is_some() || !self.guests.is_empty() {
            self.wait();
            if self.keeper.as_mut().is_some_and(|keeper| keeper.read(&mut [0]).is_ok()) {
                (self.doors, self.keeper) = (Vec::new(), None);
            }
            for door in &self.doors {
                while let Ok((client, from)) = door.listener.accept() {
                    self.guests.extend(Guest::show_in(door, client, from).ok());
                }
            }
            self.guests.retain_mut(Guest::step);
        }
    }

    /// Until something can be done.
    fn wait(&self) {
        let keeper = self.keeper.iter().map(|keeper| PollFd::new(keeper, PollFlags::IN));
        let doors = self.doors.iter().map(|door| PollFd::new(&door.listener, PollFlags::IN));
        let guests = self.guests.iter().flat_map(Guest::watch);
        let mut watched: Vec<_> = keeper.chain(doors).chain(guests).collect();
        // A wait that is interrupted is one that ends early.
        let _ = poll(&mut watched, None);
    }
}

/// A client, and its connection into our stack.
#[derive(Debug)]
struct Guest {
    client: TcpStream,
    inside: TcpStream,
    inwards: Pipe,
    outwards: Pipe,
}

impl Guest {
    fn show_in(door: &Door, client: TcpStream, from: SocketAddr) -> io::Result<Guest> {
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        let inside = call(door, from)?;
        inside.set_nodelay(true)?;
        let mut inwards = Pipe::default();
        if door.announces {
            let to = client.local_addr()?;
            let family = if to.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from_ip, to_ip) = (from.ip(), to.ip());
            let (from_port, to_port) = (from.port(), to.port());
            inwards.bytes =
                format!("PROXY {family} {from_ip} {to_ip} {from_port} {to_port}\r\n").into_bytes();
        }
        Ok(Guest { client, inside, inwards, outwards: Pipe::default() })
    }

    /// What is worth waking up for.
    fn watch(&self) -> impl Iterator<Item = PollFd<'_>> {
        let ends = [
            (&self.client, &self.inwards, &self.outwards),
            (&self.inside, &self.outwards, &self.inwards),
        ];
        ends.into_iter().filter_map(|(socket, from, to)| {
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, from.wants_bytes());
            events.set(PollFlags::OUT, to.has_work());
            // One that has nothing more to say or to hear would be ready for ever.
            (!from.has_ended || !to.is_shut).then(|| PollFd::new(socket, events))
        })
    }

    /// Does what can be done now. Whether it goes on.
    fn step(&mut self) -> bool {
        let Guest { client, inside, inwards, outwards } = self;
        match inwards.carry(client, inside).and_then(|()| outwards.carry(inside, client)) {
            Ok(()) => !(inwards.is_shut && outwards.is_shut),
            Err(_) => {
                // One side is broken, and so is the other now.
                for side in [client.as_fd(), inside.as_fd()] {
                    let _ = set_socket_linger(side, Some(Duration::ZERO));
                }
                false
            }
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    bytes: Vec<u8>,
    /// How many of them have gone on.
    gone: usize,
    /// There will be no more.
    has_ended: bool,
    /// The end has gone on, too.
    is_shut: bool,
}

impl Pipe {
    fn wants_bytes(&self) -> bool {
        self.bytes.is_empty() && !self.has_ended
    }

    fn has_work(&self) -> bool {
        !self.bytes.is_empty() || self.has_ended && !self.is_shut
    }

    fn carry(&mut self, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        loop {
            if self.wants_bytes() {
                self.bytes.resize(BUFFER_BYTES, 0);
                let read = from.read(&mut self.bytes);
                self.bytes.truncate(*read.as_ref().unwrap_or(&0));
                match read {
                    Ok(0) => self.has_ended = true,
                    Ok(_) => {}
                    Err(error) => return patience(error),
                }
            }
            while self.gone < self.bytes.len() {
                match to.write(&self.bytes[self.gone..]) {
                    Ok(count) => self.gone += count,
                    Err(error) => return patience(error),
                }
            }
            (self.gone, self.bytes) = (0, Vec::new());
            if self.has_ended {
                if !self.is_shut {
                    self.is_shut = true;
                    to.shutdown(Shutdown::Write)?;
                }
                return Ok(());
            }
        }
    }
}

/// Later is no error.
fn patience(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

/// A connection to our stack that is on its way, from the client's own address where it is one of
/// this machine's.
fn call(door: &Door, from: SocketAddr) -> io::Result<TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    if let SocketAddr::V4(from) = from
        && from.ip().is_loopback()
    {
        bind(&socket, &SocketAddrV4::new(*from.ip(), 0))?;
    }
    if door.announces {
        // The handshake's last segment waits for the header and takes it along: no time that the
        // frontend would count as its client's passes between the two.
        set_tcp_quickack(&socket, false)?;
    }
    match connect(&socket, &door.to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

const BUFFER_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    //! Bytes, ends and resets come through, in front of a listener of Linux's that plays our stack.

    use std::time::Duration;

    use super::*;

    struct Scene {
        client: TcpStream,
        inside: TcpStream,
        // Closes the door.
        _keeper: UnixStream,
    }

    fn scene(announces: bool) -> Scene {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stack = TcpListener::bind("127.0.0.1:0").expect("a port");
        let SocketAddr::V4(to) = stack.local_addr().expect("bound") else { panic!("IPv4") };
        let address = listener.local_addr().expect("bound");
        let keeper = open(vec![Door { listener, to, announces }]).expect("a thread");
        let client = TcpStream::connect(address).expect("open");
        let (inside, _) = stack.accept().expect("called");
        for side in [&client, &inside] {
            side.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        }
        Scene { client, inside, _keeper: keeper }
    }

    fn hear(mut from: &TcpStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        from.read_exact(&mut bytes).expect("bytes");
        bytes
    }

    #[test]
    fn an_end_leaves_the_other_direction_open() {
        let Scene { mut client, mut inside, _keeper } = scene(false);
        client.write_all(b"ping").expect("open");
        client.shutdown(Shutdown::Write).expect("open");
        assert_eq!(hear(&inside, 4), b"ping");
        assert_eq!(inside.read(&mut [0]).expect("the end"), 0);
        let long = vec![7; 5 << 20];
        let sent = long.clone();
        let writer = thread::spawn(move || inside.write_all(&sent).map(|()| drop(inside)));
        assert!(hear(&client, long.len()) == long);
        assert_eq!(client.read(&mut [0]).expect("the end"), 0);
        writer.join().expect("no panic").expect("written");
    }

    #[test]
    fn a_reset_is_a_reset() {
        for from_inside in [false, true] {
            let Scene { client, inside, _keeper } = scene(false);
            let (breaks, mut hears) = if from_inside { (inside, client) } else { (client, inside) };
            set_socket_linger(&breaks, Some(Duration::ZERO)).expect("a socket");
            drop(breaks);
            let heard = hears.read(&mut [0]).expect_err("a reset");
            assert_eq!(heard.kind(), ErrorKind::ConnectionReset);
        }
    }

    #[test]
    fn a_client_is_announced() {
        let Scene { client, inside, _keeper } = scene(true);
        let from = client.local_addr().expect("bound").port();
        let to = client.peer_addr().expect("connected").port();
        let header = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {to}\r\n");
        assert_eq!(hear(&inside, header.len()), header.as_bytes());
    }

    #[test]
    fn where_nobody_listens_inside_the_client_is_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
        let SocketAddr::V4(to) = closed.local_addr().expect("bound") else { panic!("IPv4") };
        drop(closed);
        let _keeper = open(vec![Door { listener, to, announces: true }]).expect("a thread");
        let mut client = TcpStream::connect(address).expect("open");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        let heard = client.read(&mut [0]).expect_err("a reset");
        assert_eq!(heard.kind(), ErrorKind::ConnectionReset);
    }
}
