//! A Linux TAP device with one or more queues.
//!
//! A frame leaves by the queue of its transmit queue, so that the kernel sees as many queues as the
//! card has; frames come from whichever queue holds one.

use penstock_nic82599::Wire;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

pub(crate) struct Tap {
    queues: Vec<SyncDevice>,
    /// The queue that is asked first, so that each gets its turn.
    next: usize,
}

impl Tap {
    /// Opens `queues` queues of the device `name`, making it if it is not there. Its state and
    /// addresses are left as they are.
    pub(crate) fn open(name: &str, queues: u16) -> io::Result<Tap> {
        let first = DeviceBuilder::new()
            .name(name)
            .layer(Layer::L2)
            .multi_queue(queues > 1)
            .packet_information(false)
            .inherit_enable_state()
            .build_sync()?;
        let mut opened = vec![first];
        for _ in 1..queues {
            opened.push(opened[0].try_clone()?);
        }
        for queue in &opened {
            queue.set_nonblocking(true)?;
        }
        Ok(Tap { queues: opened, next: 0 })
    }

    /// Copies of the descriptors, to wait on.
    pub(crate) fn watched(&self) -> io::Result<Vec<OwnedFd>> {
        self.queues.iter().map(|queue| queue.as_fd().try_clone_to_owned()).collect()
    }
}

impl Wire for Tap {
    fn send(&mut self, _now_us: u64, queue: u32, frame: &[u8]) {
        // A full queue or an interface that is down loses the frame, as a switch would.
        let _ = self.queues[queue as usize % self.queues.len()].send(frame);
    }

    fn recv(&mut self, _now_us: u64, into: &mut [u8]) -> Option<usize> {
        for _ in 0..self.queues.len() {
            let queue = self.next;
            self.next = (self.next + 1) % self.queues.len();
            if let Ok(length) = self.queues[queue].recv(into)
                && length > 0
            {
                return Some(length);
            }
        }
        None
    }
}
