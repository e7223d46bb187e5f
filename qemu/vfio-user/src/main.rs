//! `penstock-nic82599`: the emulated 82599 as a vfio-user device.
//!
//! ```text
//!   QEMU ── socket ──▶ control thread: registers, memory map, eventfds ─┐
//!                                                                      ├── Machine, behind one lock
//!   TAP, stream ── poll ──▶ worker thread: frames in, timers ──────────┤
//!   --fault-pipe ── lines ──▶ its thread: what is broken ───────────────┘
//! ```
//!
//! The first two step the card while they hold the lock: a doorbell sends at once, a frame is
//! delivered at once. QEMU may leave and come back; the card is reset in between.

mod arguments;
mod device;
mod doorbells;
mod fault_pipe;
mod guest_memory;
mod machine;
mod pcap;
mod ports;
mod stream;
mod tap;
mod vectors;
mod worker;

use arguments::{Command, Options, Socket};
use device::Device;
use doorbells::Doorbells;
use machine::{Machine, Shared};
use penstock_nic82599::{Card, CardConfig, ConfigSpace};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use vfio_user::{Server, ServerRegion};

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os()) {
        Ok(Command::Help) => {
            print!("{}", arguments::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            println!("penstock-nic82599 {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Command::Run(options)) => match run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => fail(&message),
        },
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("penstock-nic82599: {message}");
    ExitCode::FAILURE
}

fn run(options: &Options) -> Result<(), String> {
    let (port, watched) = ports::open(options)?;
    let config = CardConfig { mac: options.mac, ..CardConfig::default() };
    let script = options.script.clone();
    let doorbells = options
        .mmap_doorbells
        .then(Doorbells::new)
        .transpose()
        .map_err(|error| format!("--mmap-doorbells: {error}"))?;
    let regions = device::regions(doorbells.as_ref());
    let config_space = ConfigSpace::new(options.mac);
    let machine = Machine::new(Card::new(config), config_space, port, script, doorbells);
    let shared = Arc::new(Shared::new(machine).map_err(|error| format!("eventfd: {error}"))?);
    worker::start(Arc::clone(&shared), watched).map_err(|error| format!("worker: {error}"))?;
    if let Some(path) = &options.fault_pipe {
        fault_pipe::start(Arc::clone(&shared), path)
            .map_err(|error| format!("--fault-pipe={}: {error}", path.display()))?;
    }
    let server = listen(&options.socket, regions)?;
    let mut device = Device::new(Arc::clone(&shared), options.strict);
    loop {
        // One client at a time; a client that breaks the protocol is disconnected, not fatal.
        if let Err(error) = server.run(&mut device) {
            eprintln!("penstock-nic82599: client: {error}");
        }
        device.disconnect();
        if options.once {
            return Ok(());
        }
    }
}

fn listen(socket: &Socket, regions: Vec<ServerRegion>) -> Result<Server, String> {
    match socket {
        Socket::Path(path) => {
            stream::remove_stale(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Server::new(path, true, device::interrupts(), regions)
                .map_err(|error| format!("{}: {error}", path.display()))
        }
        Socket::Descriptor(number) => {
            let socket = inherited(*number).map_err(|error| format!("--fd={number}: {error}"))?;
            Ok(Server::from_owned_fd(socket, true, device::interrupts(), regions))
        }
    }
}

/// Our own copy of a descriptor that we were started with.
fn inherited(number: i32) -> rustix::io::Result<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    pidfd_getfd(own, number, PidfdGetfdFlags::empty())
}
