//! Proves the vfio-user front end with a client in place of QEMU and a socket in place of a wire:
//! a frame out, a frame in with its eventfd, a hostile descriptor survived, clients that come and
//! go, guests that reboot, queue registers reached as memory, faults by hand, and the command line's
//! errors.

use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::Reg;
use penstock_ixgbe_regs::bits::{fctrl, gpie, links, rxdctl, srrctl, txdctl};
use penstock_ixgbe_regs::descriptor::tx_command;
use std::fs::{self, File};
use std::io::{Read, Write, pipe};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use vfio_user::Client;
use vm_memory::VolatileMemory;
use vm_memory::mmap::MmapRegion;

const PROGRAM: &str = env!("CARGO_BIN_EXE_penstock-nic82599");
const MEMORY_AT: u64 = 0x10_0000;
const RECEIVE: u64 = 0;
const TRANSMIT: u64 = 0x1000;
const RECEIVE_BUFFER: u64 = 0x4000;
const TRANSMIT_BUFFER: u64 = 0x8000;
const CONFIG: u32 = 7;
const VECTORS: u32 = 2;
/// Eventfds that trigger.
const SET: u32 = 1 << 2 | 1 << 5;

/// The program with a wire that the test holds the other end of.
struct Card {
    child: Child,
    folder: PathBuf,
    wire: UnixStream,
}

impl Card {
    fn start(name: &str, options: &[&str]) -> Card {
        let folder = std::env::temp_dir().join(format!("penstock-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let listener = UnixListener::bind(folder.join("wire")).expect("a socket");
        let child = Command::new(PROGRAM)
            .arg(format!("--socket-path={}", folder.join("nic").display()))
            .arg(format!("--netdev=stream,path={}", folder.join("wire").display()))
            .args(options)
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let wire = listener.accept().expect("it connects").0;
        wire.set_read_timeout(Some(DEADLINE)).expect("a time limit");
        Card { child, folder, wire }
    }

    fn client(&self) -> Guest {
        let begun = Instant::now();
        loop {
            match Client::new(&self.folder.join("nic")) {
                Ok(client) => return Guest::new(client),
                Err(error) => assert!(begun.elapsed() < DEADLINE, "it does not listen: {error}"),
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const DEADLINE: Duration = Duration::from_secs(120);

/// A client and its memory.
struct Guest {
    client: Client,
    memory: File,
}

impl Guest {
    fn new(mut client: Client) -> Guest {
        let path = std::env::temp_dir().join(format!(
            "penstock-guest-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let memory = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .expect("a file");
        fs::remove_file(&path).expect("ours");
        memory.set_len(0x1_0000).expect("space");
        client.dma_map(0, MEMORY_AT, 0x1_0000, memory.as_raw_fd()).expect("mapped");
        let mut guest = Guest { client, memory };
        guest.client.region_write(CONFIG, 4, &[6, 0]).expect("bus master");
        guest.until(regs::LINKS, links::UP);
        guest
    }

    fn set(&mut self, reg: Reg, value: u32) {
        self.client.region_write(0, u64::from(reg.0), &value.to_le_bytes()).expect("written");
    }

    fn get(&mut self, reg: Reg) -> u32 {
        let mut word = [0; 4];
        self.client.region_read(0, u64::from(reg.0), &mut word).expect("read");
        u32::from_le_bytes(word)
    }

    fn until(&mut self, reg: Reg, bit: u32) {
        self.reads(reg, bit, bit);
    }

    /// Waits until `bits` of a register read as they stand in `value`.
    fn reads(&mut self, reg: Reg, bits: u32, value: u32) {
        let begun = Instant::now();
        while self.get(reg) & bits != value {
            assert!(begun.elapsed() < DEADLINE, "{reg:?} never reads {value:#x} in {bits:#x}");
            std::thread::yield_now();
        }
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        self.memory.write_all_at(bytes, at).expect("within the file");
    }

    fn words(&self, at: u64) -> [u32; 4] {
        let mut bytes = [0; 16];
        self.memory.read_exact_at(&mut bytes, at).expect("within the file");
        std::array::from_fn(|word| {
            u32::from_le_bytes(std::array::from_fn(|byte| bytes[word * 4 + byte]))
        })
    }

    /// One descriptor for `length` bytes at bus address `buffer`, and its doorbell.
    fn transmit(&mut self, index: u32, buffer: u64, length: u32) {
        let command = tx_command::DEXT
            | tx_command::EOP
            | tx_command::IFCS
            | tx_command::RS
            | tx_command::DTYP_DATA << tx_command::DTYP_SHIFT;
        let at = TRANSMIT + u64::from(index) * 16;
        self.put(at, &buffer.to_le_bytes());
        self.put(at + 8, &(command | length).to_le_bytes());
        self.set(regs::TDT.at(0), index + 1);
    }

    fn start(&mut self) {
        for (reg, value) in [
            (regs::FCTRL, fctrl::BAM),
            (regs::RXCTRL, 1),
            (regs::RDBAL.at(0), (MEMORY_AT + RECEIVE) as u32),
            (regs::RDLEN.at(0), 128),
            (regs::SRRCTL.at(0), 1 << srrctl::DESCTYPE_SHIFT | 2),
            (regs::RXDCTL.at(0), rxdctl::ENABLE),
            (regs::DMATXCTL, 0x8100_0001),
            (regs::TDBAL.at(0), (MEMORY_AT + TRANSMIT) as u32),
            (regs::TDLEN.at(0), 128),
            (regs::TXDCTL.at(0), txdctl::ENABLE),
        ] {
            self.set(reg, value);
        }
    }
}

#[test]
fn a_client_sends_receives_leaves_and_returns() {
    let mut card = Card::start("server", &[]);
    let mut guest = card.client();
    let mut id = [0; 4];
    guest.client.region_read(CONFIG, 0, &mut id).expect("configuration space");
    assert_eq!(id, [0x86, 0x80, 0xFB, 0x10]);
    guest.start();

    guest.put(TRANSMIT_BUFFER, &[0xAB; 64]);
    guest.transmit(0, MEMORY_AT + TRANSMIT_BUFFER, 64);
    let mut frame = [0; 68];
    card.wire.read_exact(&mut frame).expect("a frame on the wire");
    assert_eq!((&frame[..4], &frame[4..]), (&[0, 0, 0, 64][..], &[0xAB; 64][..]));
    assert_eq!(guest.words(TRANSMIT)[3] & 1, 1, "DD");

    let (mut event, trigger) = pipe().expect("a pipe");
    guest.client.set_irqs(VECTORS, SET, 3, 1, &[trigger.as_raw_fd()]).expect("set");
    guest.set(regs::GPIE, gpie::MSIX);
    guest.set(regs::IVAR.at(0), 0x83);
    guest.set(regs::EIMS_EX.at(0), 1 << 3);
    guest.put(RECEIVE, &(MEMORY_AT + RECEIVE_BUFFER).to_le_bytes());
    guest.set(regs::RDT.at(0), 1);
    card.wire.write_all(&[0, 0, 0, 60]).expect("open");
    card.wire.write_all(&[0xFF; 60]).expect("open");
    let mut count = [0; 8];
    event.read_exact(&mut count).expect("the vector fires");
    assert_eq!(u64::from_ne_bytes(count), 1);
    let [_, _, status, length] = guest.words(RECEIVE);
    assert_eq!((status & 3, length), (3, 60), "DD and EOP");
    assert_eq!(guest.words(RECEIVE_BUFFER), [!0; 4]);

    // Addresses that nothing answers, then a proof of life.
    guest.transmit(1, 0xFFFF_FFFF_FFFF_F000, 60);
    guest.transmit(2, MEMORY_AT + 0xFFF0, 60);
    assert_eq!(guest.get(regs::EICS) & 1 << 18, 1 << 18, "a PCI cause");
    guest.transmit(3, MEMORY_AT + TRANSMIT_BUFFER, 64);
    card.wire.read_exact(&mut frame).expect("it still sends");

    guest.set(regs::MRQC, 1);
    drop(guest);
    let mut again = card.client();
    assert_eq!(again.get(regs::MRQC), 0, "reset in between");
    again.set(regs::MRQC, 1);
    again.client.reset().expect("a reset of the device");
    assert_eq!(again.get(regs::MRQC), 0);
}

/// What QEMU does when its guest reboots: the memory goes, the device is reset, the memory comes.
#[test]
fn a_guest_reboots_in_the_midst_of_traffic() {
    let mut card = Card::start("reboot", &[]);
    let mut guest = card.client();
    for _ in 0..3 {
        guest.start();
        guest.put(TRANSMIT_BUFFER, &[0xEF; 60]);
        guest.transmit(0, MEMORY_AT + TRANSMIT_BUFFER, 60);
        let mut frame = [0; 64];
        card.wire.read_exact(&mut frame).expect("a frame on the wire");
        assert_eq!(frame[4..], [0xEF; 60]);
        // Rings run, and frames come, while the memory goes away.
        guest.set(regs::RDT.at(0), 7);
        card.wire.write_all(&[0, 0, 0, 60]).expect("open");
        card.wire.write_all(&[0xFF; 60]).expect("open");
        guest.client.dma_unmap(MEMORY_AT, 0x1_0000).expect("unmapped");
        guest.set(regs::TDT.at(0), 5);
        guest.client.reset().expect("a reset of the device");
        assert_eq!(guest.get(regs::TDT.at(0)), 0);
        guest.client.region_write(CONFIG, 4, &[6, 0]).expect("bus master");
        let file = guest.memory.as_raw_fd();
        guest.client.dma_map(0, MEMORY_AT, 0x1_0000, file).expect("mapped");
        guest.until(regs::LINKS, links::UP);
    }
}

#[test]
fn a_guest_that_maps_its_queue_registers_needs_no_message() {
    let mut card = Card::start("mapped", &["--mmap-doorbells"]);
    let mut guest = card.client();
    guest.start();
    let region = guest.client.region(0).expect("registers");
    let areas: Vec<_> = region.sparse_areas.iter().map(|area| (area.offset, area.size)).collect();
    assert_eq!(areas, [(0x1000, 0x1000), (0x6000, 0x2000), (0xD000, 0x1000)]);
    let file = region.file_offset.clone().expect("a file");
    let map: MmapRegion = MmapRegion::from_file(file, 0x2_0000).expect("mapped");
    let word = |reg: Reg| map.get_atomic_ref::<AtomicU32>(reg.0 as usize).expect("within");
    assert_eq!(word(regs::TDLEN.at(0)).load(Ordering::Relaxed), 128, "what was written is shown");
    for round in 1..=3 {
        let at = TRANSMIT + u64::from(round - 1) * 16;
        guest.put(TRANSMIT_BUFFER, &[0x5A; 60]);
        guest.put(at, &(MEMORY_AT + TRANSMIT_BUFFER).to_le_bytes());
        guest.put(at + 8, &(0x2B30_0000u32 | 60).to_le_bytes());
        word(regs::TDT.at(0)).store(round, Ordering::Release);
        let mut frame = [0; 64];
        card.wire.read_exact(&mut frame).expect("a frame on the wire");
        assert_eq!(frame[4..], [0x5A; 60]);
        let begun = Instant::now();
        while word(regs::TDH.at(0)).load(Ordering::Acquire) != round {
            assert!(begun.elapsed() < DEADLINE, "the head is never shown");
            std::thread::yield_now();
        }
    }
    guest.set(regs::CTRL, 1 << 26);
    assert_eq!(word(regs::TDT.at(0)).load(Ordering::Acquire), 0, "a reset is shown");
}

#[test]
fn a_socket_may_be_inherited() {
    let folder = std::env::temp_dir().join(format!("penstock-inherited-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let listener = UnixListener::bind(folder.join("nic")).expect("a socket");
    let wire = UnixStream::pair().expect("a pair").0;
    let child = Command::new(PROGRAM)
        .arg("--fd=0")
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let card = Card { child, folder, wire };
    let mut guest = card.client();
    assert_eq!(guest.get(regs::FWSM), 0x8000);
}

/// The other half of a wire between two programs: one listens, one connects.
#[test]
fn a_card_may_be_the_end_that_listens() {
    let folder = std::env::temp_dir().join(format!("penstock-listen-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let child = Command::new(PROGRAM)
        .arg(format!("--socket-path={}", folder.join("nic").display()))
        .arg(format!("--netdev=stream,path={},server=on", folder.join("wire").display()))
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let begun = Instant::now();
    let wire = loop {
        match UnixStream::connect(folder.join("wire")) {
            Ok(wire) => break wire,
            Err(error) => assert!(begun.elapsed() < DEADLINE, "it does not listen: {error}"),
        }
        std::thread::yield_now();
    };
    let mut card = Card { child, folder, wire };
    let mut guest = card.client();
    guest.start();
    guest.put(TRANSMIT_BUFFER, &[0xCD; 60]);
    guest.transmit(0, MEMORY_AT + TRANSMIT_BUFFER, 60);
    let mut frame = [0; 64];
    card.wire.set_read_timeout(Some(DEADLINE)).expect("a time limit");
    card.wire.read_exact(&mut frame).expect("a frame on the wire");
    assert_eq!(frame[4..], [0xCD; 60]);
}

#[test]
fn faults_come_through_a_pipe() {
    let path = std::env::temp_dir().join(format!("penstock-faults-{}", std::process::id()));
    let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo of the coreutils");
    assert!(made.success());
    let card = Card::start("pipe", &[&format!("--fault-pipe={}", path.display())]);
    let mut guest = card.client();
    for _ in 0..2 {
        // A writer that leaves is followed by another; a terminal ends its lines as it likes.
        fs::write(&path, "no-light loss=1%\r\n").expect("it reads");
        guest.reads(regs::LINKS, links::UP, 0);
        fs::write(&path, "no-light=off darkness\n\nnone\n").expect("it reads");
        guest.until(regs::LINKS, links::UP);
    }
    fs::remove_file(&path).expect("ours");
}

#[test]
fn strict_ends_at_the_first_offset_that_is_no_register() {
    let mut card = Card::start("strict", &["--strict"]);
    let mut guest = card.client();
    assert!(guest.client.region_read(0, 0x1FFFC, &mut [0; 4]).is_err(), "it has gone");
    assert_eq!(card.child.wait().expect("ended").code(), Some(2));
}

#[test]
fn the_command_line_explains_itself() {
    let run = |arguments: &[&str]| {
        let output = Command::new(PROGRAM).args(arguments).output().expect("the program starts");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        (output.status.success(), text)
    };
    let (good, text) = run(&["--help"]);
    assert!(good && text.contains("--netdev=WIRE") && text.contains("vfio-user-pci"));
    let (good, text) = run(&["--socket-path=/x", "--netdev=user"]);
    assert!(!good && text.contains("expected tap, stream or none"), "{text}");
    let (good, text) = run(&["--fd=99"]);
    assert!(!good && text.contains("--fd=99"), "{text}");
    let (good, text) = run(&["--socket-path=/x", "--fault-pipe=/no/such/pipe"]);
    assert!(!good && text.contains("--fault-pipe=/no/such/pipe: "), "{text}");
    let (good, text) = run(&["--socket-path=/x", "--netdev=stream,path=/no/such/socket"]);
    assert!(!good && text.contains("/no/such/socket"), "{text}");
}
