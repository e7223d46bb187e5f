//! Queue pairs on a Linux TAP device.
//!
//! A TAP is a network card whose cable ends in a file: what Linux sends through the interface is
//! read from it, what is written to it Linux receives. With several queues it is one file for each,
//! and a [`TapQueue`] is one of them, for one core.
//!
//! ```text
//!   Linux ──▶ [ queue 0 ] ──read──▶ burst of frames ──▶ worker 0
//!   Linux ◀── [ queue 0 ] ◀─writev── slot + lent ranges ◀── worker 0, frame by frame
//! ```
//! There is no ring to share with the device: a frame is copied by the system call that moves it, so
//! a sent frame's memory is free when [`QueuePair::send`] returns, and nothing stays lent. Neither
//! checksums nor segmentation are left to Linux: what travels are the frames a cable would carry, so
//! that Linux judges our checksums and we judge its.
//!
//! Linux remembers by which queue a flow was answered, and brings its frames there (`tun_flow_update`
//! in `drivers/net/tun.c`): steering looks perfect on a TAP without our doing. Who wants to see it
//! work puts `penstock-fault` in between.

use std::fs;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

use penstock_queue::{
    BURST_MAX, Capabilities, Checksums, Chunks, LENT_MAX, Lent, Offload, QueuePair, RxFrame,
    SLOT_BYTES,
};
use penstock_wire::{Mac, ethernet};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketType, netdevice, sendto, socket};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// A TAP device, opened.
pub struct Tap {
    /// Its name.
    pub name: String,
    /// The largest IP packet it carries, in bytes.
    pub mtu: u16,
    /// The station at our end; Linux's end has another.
    pub mac: Mac,
    /// Linux's end is known to be down: nothing arrives until somebody sets it up.
    pub is_down: bool,
    /// One for each core.
    pub queues: Vec<TapQueue>,
}

impl Tap {
    /// Opens `queues` queues of the device `name`. One that exists is left as it is, and may belong
    /// to a user without privileges (`ip tuntap add NAME mode tap multi_queue user NAME`); one that
    /// does not is made, brought up, and vanishes with the process.
    ///
    /// # Errors
    /// What Linux says, with what can be done about it.
    pub fn open(name: &str, queues: u16) -> Result<Tap, String> {
        let opened = match open(name, queues, true) {
            // One that was made without `multi_queue` has one queue.
            Err(error) if error.kind() == ErrorKind::InvalidInput && queues == 1 => {
                open(name, queues, false)
            }
            result => result,
        };
        let devices = opened.map_err(|error| explain(name, queues, &error))?;
        let told = |error: io::Error| format!("tap {name}: {error}");
        let Some(first) = devices.first() else { return Err(format!("tap {name}: no queues")) };
        let mtu = first.mtu().map_err(told)?.min(MTU_MAX);
        let mac = opposite(first.mac_address().map_err(told)?);
        let is_down = is_down(name);
        // Where it cannot be told, the first question may be lost, and is asked again.
        let _ = sync_carrier(name);
        let queues = devices.into_iter().map(|device| TapQueue::new(device, mtu)).collect();
        Ok(Tap { name: name.to_owned(), mtu, mac, is_down, queues })
    }
}

/// One queue of a TAP device, for one core.
pub struct TapQueue {
    device: SyncDevice,
    mtu: u16,
    /// The frames of a burst, each at a fixed distance.
    frames: Box<[u8]>,
    lens: [usize; BURST_MAX],
    slot: Box<[u8; SLOT_BYTES]>,
    /// Frames that Linux did not take.
    refused: u64,
    /// The device is gone, or this file is no longer part of it.
    is_gone: bool,
}

impl TapQueue {
    fn new(device: SyncDevice, mtu: u16) -> TapQueue {
        let frames = vec![0; BURST_MAX * frame_bytes_max(mtu)].into_boxed_slice();
        let slot = Box::new([0; SLOT_BYTES]);
        TapQueue { device, mtu, frames, lens: [0; BURST_MAX], slot, refused: 0, is_gone: false }
    }

    /// The file, to wait on until a frame arrives.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    /// How many frames Linux did not take: the interface is down, or its memory is short.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether the device is gone for good.
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }
}

impl QueuePair for TapQueue {
    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: self.mtu, tx_checksums: false, segmentation: false, lent_max: LENT_MAX }
    }

    fn recv(&mut self, max: usize) -> usize {
        let room = frame_bytes_max(self.mtu);
        let buffers = self.frames.chunks_exact_mut(room).zip(&mut self.lens).take(max);
        let mut count = 0;
        for (buffer, len) in buffers {
            match rustix::io::read(&self.device, buffer) {
                Ok(bytes) => *len = bytes,
                Err(error) => {
                    self.is_gone |= error == Errno::BADFD;
                    break;
                }
            }
            count += 1;
        }
        count
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        let from = index * frame_bytes_max(self.mtu);
        let bytes = &self.frames[from..from + self.lens[index]];
        RxFrame { bytes, parts: 0, checksums: Checksums::Unverified, hash: None, vlan: None }
    }

    fn part(&self, index: usize, part: usize) -> &[u8] {
        panic!("frame {index} has no part {part}: a TAP delivers frames in one piece")
    }

    fn recycle(&mut self) {}

    fn slots(&self) -> usize {
        SLOTS
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        Some(&mut self.slot[..])
    }

    fn send(&mut self, bytes: usize, lent: &[Lent], _offload: Offload, chunks: &mut Chunks) {
        let mut parts = [IoSlice::new(&[]); LENT_MAX + 1];
        parts[0] = IoSlice::new(&self.slot[..bytes]);
        for (part, &range) in parts[1..].iter_mut().zip(lent) {
            *part = IoSlice::new(chunks.range(range));
        }
        // The file does not block: it takes the frame whole or not at all.
        if let Err(error) = rustix::io::writev(&self.device, &parts[..lent.len() + 1]) {
            self.refused += 1;
            self.is_gone |= error == Errno::BADFD;
        }
    }

    fn flush(&mut self) {}

    fn reclaim(&mut self, _chunks: &mut Chunks) {}
}

/// The queues of one device, each a file that does not block.
fn open(name: &str, queues: u16, multi_queue: bool) -> io::Result<Vec<SyncDevice>> {
    let mut builder = DeviceBuilder::new()
        .name(name)
        .layer(Layer::L2)
        .multi_queue(multi_queue)
        .packet_information(false);
    if exists(name)? {
        builder = builder.inherit_enable_state();
    }
    let mut devices = vec![builder.build_sync()?];
    for _ in 1..queues {
        devices.push(devices[0].try_clone()?);
    }
    for device in &devices {
        device.set_nonblocking(true)?;
    }
    Ok(devices)
}

fn exists(name: &str) -> io::Result<bool> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(netdevice::name_to_index(socket, name).is_ok())
}

/// Asked of sysfs, because the carrier, which is easier to ask for, comes a moment after the file was
/// opened. A sysfs of another network namespace knows nothing of the device.
fn is_down(name: &str) -> bool {
    let flags = fs::read_to_string(format!("/sys/class/net/{name}/flags")).unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
    flags.is_ok_and(|flags| flags & IFF_UP == 0)
}

/// Has Linux notice that somebody is at our end. By itself it does so from a work queue, and drops whatever it has
/// to send until then: the answer to our first ARP request, for one, and the next would be a second later. Before
/// it tells anybody of the interface it has to know (`linkwatch_sync_dev` in `rtnl_getlink`, since Linux 6.8).
///
/// # Errors
/// What Linux says.
fn sync_carrier(name: &str) -> rustix::io::Result<()> {
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let index = netdevice::name_to_index(&socket, name)?;
    // A header and what is asked for, as in rtnetlink(7); the answer is not read.
    let mut question = [0; 32];
    question[..4].copy_from_slice(&32_u32.to_ne_bytes());
    question[4..6].copy_from_slice(&RTM_GETLINK.to_ne_bytes());
    question[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    question[20..24].copy_from_slice(&index.to_ne_bytes());
    sendto(&socket, &question, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    Ok(())
}

/// The station at our end of the cable: as lasting, and as much its own, as the one at Linux's end.
fn opposite(mac: [u8; 6]) -> Mac {
    let [first, a, b, c, d, last] = mac;
    Mac([(first | LOCALLY_ADMINISTERED) & !GROUP, a, b, c, d, last ^ 1])
}

/// What can be done about an error.
fn explain(name: &str, queues: u16, error: &io::Error) -> String {
    let queue = if queues == 1 { "" } else { " multi_queue" };
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "run as root, or let root make it for you: ip tuntap add {name} mode tap{queue} user NAME"
        ),
        ErrorKind::NotFound => "there is no /dev/net/tun: modprobe tun".to_owned(),
        ErrorKind::ResourceBusy => "another process has it".to_owned(),
        ErrorKind::InvalidInput if queues > 1 => format!(
            "it is not a TAP device, or has one queue where {queues} are wanted: make it with \
             multi_queue, or say maxcpus=1"
        ),
        ErrorKind::InvalidInput => {
            "it is not a TAP device, or its name has more than 15 bytes".to_owned()
        }
        _ => return format!("tap {name}: {error}"),
    };
    format!("tap {name}: {error}; {advice}")
}

/// The longest frame of such a device: Ethernet header, VLAN tag, packet.
fn frame_bytes_max(mtu: u16) -> usize {
    ethernet::HEADER_BYTES + VLAN_BYTES + mtu as usize
}

/// The largest packet that the stack knows: jumbo frames.
const MTU_MAX: u16 = 9_216;
const VLAN_BYTES: usize = 4;
/// What is asked of an interface (Linux: `rtnetlink.h`, `netlink.h`).
const RTM_GETLINK: u16 = 18;
const NLM_F_REQUEST: u16 = 1;
/// The bit of an interface that is up (Linux: `if.h`).
const IFF_UP: u32 = 1;
/// Every frame leaves at once, so there is always room for as many as a turn can want.
const SLOTS: usize = 256;
/// Bits of the first byte of a station address (IEEE 802-2014 section 8.2).
const LOCALLY_ADMINISTERED: u8 = 2;
const GROUP: u8 = 1;

#[cfg(test)]
mod tests {
    //! What needs no device. The rest needs Linux at the other end: `make host-test`.

    use super::*;

    #[test]
    fn our_station_is_the_opposite_of_theirs() {
        let mac = opposite([0xda, 1, 2, 3, 4, 0xff]);
        assert_eq!(mac, Mac([0xda, 1, 2, 3, 4, 0xfe]));
        assert!(!opposite([0xff; 6]).is_group());
    }

    #[test]
    fn errors_say_what_to_do() {
        let text = explain("dut0", 2, &io::Error::from(ErrorKind::PermissionDenied));
        assert!(text.ends_with("ip tuntap add dut0 mode tap multi_queue user NAME"), "{text}");
        let text = explain("dut0", 2, &io::Error::from(ErrorKind::InvalidInput));
        assert!(text.contains("maxcpus=1"), "{text}");
    }
}
