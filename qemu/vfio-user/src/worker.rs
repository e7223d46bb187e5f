//! The worker: waits for frames and deadlines, and steps the card.

use crate::machine::Shared;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Starts the worker; it lives as long as the process.
pub(crate) fn start(shared: Arc<Shared>, watched: Vec<OwnedFd>) -> io::Result<()> {
    let work = move || {
        let mut watched = watched;
        loop {
            turn(&shared, &mut watched);
        }
    };
    std::thread::Builder::new().name("wire".into()).spawn(work)?;
    Ok(())
}

fn turn(shared: &Shared, watched: &mut Vec<OwnedFd>) {
    let wait_us = {
        let mut machine = shared.lock_last();
        let progress = machine.run();
        if progress.more {
            return;
        }
        progress.deadline_us.map(|deadline_us| machine.until(deadline_us))
    };
    let timeout = wait_us.map(|wait_us| Timespec {
        tv_sec: (wait_us / 1_000_000) as i64,
        tv_nsec: (wait_us % 1_000_000 * 1000) as i64,
    });
    let mut waiting: Vec<PollFd<'_>> = watched
        .iter()
        .chain([shared.bell()])
        .map(|descriptor| PollFd::new(descriptor, PollFlags::IN))
        .collect();
    if poll(&mut waiting, timeout.as_ref()).is_err() {
        return;
    }
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let lost: Vec<bool> = waiting.iter().map(|one| one.revents().intersects(gone)).collect();
    drop(waiting);
    // A wire whose peer has gone would wake us for ever.
    let mut index = 0;
    watched.retain(|_| {
        index += 1;
        !lost[index - 1]
    });
    let _ = rustix::io::read(shared.bell(), &mut [0; 8]);
}
