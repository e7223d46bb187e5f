//! How much a core may hold, where memory is less than the defaults want.

use penstock_ixgbe::Config;
use penstock_stack::{Capacity, mail};

/// Rings as they are, or halved until those of all queues fit.
pub(crate) fn with_rings_that_fit(mut config: Config, bytes: usize) -> Config {
    while config.memory_bytes() > bytes && config.receive_ring > RING_LEAST {
        config.receive_ring /= 2;
        config.transmit_ring /= 2;
    }
    config
}

/// Frames that fit in a mailbox between two cores: mailboxes grow with the square of the cores, and
/// all of them get an eighth of the memory.
pub(crate) fn mail_frames(cores: u16, bytes: usize) -> usize {
    let mut frames = MAIL_FRAMES_MOST;
    while mail_bytes(cores, frames) > bytes / 8 && frames > MAIL_FRAMES_LEAST {
        frames /= 2;
    }
    frames
}

fn mail_bytes(cores: u16, frames: usize) -> usize {
    let boxes = usize::from(cores) * usize::from(cores - 1);
    (boxes * frames * MAIL_FRAME_BYTES).min(mail::NETWORK_BYTES_MAX)
}

/// The memory that there is for all cores, and who is to live in it.
pub(crate) struct Room<'a> {
    pub(crate) cores: u16,
    pub(crate) bytes: usize,
    /// What the application takes on a core, with so many connections.
    pub(crate) application: &'a dyn Fn(u16, u32) -> usize,
}

impl Room<'_> {
    /// The capacity of each core: what is wanted, or less, all alike, until it fits.
    ///
    /// # Errors
    /// The memory that the least of all capacities would take, in bytes.
    pub(crate) fn fitted(&self, wanted: Capacity) -> Result<Capacity, usize> {
        let usual = Capacity::default();
        let mut capacity = wanted;
        while self.needed(&capacity) > self.bytes {
            let Capacity { connections, flights, half_open, time_wait, chunks, .. } = &mut capacity;
            if *connections > usual.connections {
                // Many may be connected who are not all at work.
                *connections = (*connections / 2).max(usual.connections);
                continue;
            }
            if *connections <= LEAST {
                return Err(self.needed(&capacity));
            }
            for bound in [connections, flights, half_open, time_wait, chunks] {
                *bound = (*bound / 2).max(LEAST);
            }
        }
        Ok(capacity)
    }

    /// What all cores take for it.
    fn needed(&self, capacity: &Capacity) -> usize {
        let application = |core| (self.application)(core, capacity.connections);
        let each = (CONTROL_BYTES + capacity.bytes()) * usize::from(self.cores);
        let all = each + (0..self.cores).map(application).sum::<usize>();
        // An eighth stays for gaps.
        all / 7 * 8 + 7 + self.mail_bytes()
    }

    fn mail_bytes(&self) -> usize {
        mail_bytes(self.cores, mail_frames(self.cores, self.bytes))
    }
}

/// The control plane, beside the names that it looks after.
const CONTROL_BYTES: usize = 64 << 10;
const LEAST: u32 = 64;

/// The shortest ring that the driver takes.
const RING_LEAST: u32 = 128;

const MAIL_FRAMES_MOST: usize = 256;
const MAIL_FRAMES_LEAST: usize = 8;

/// With the words around it, and what the mailbox is rounded up by.
const MAIL_FRAME_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    //! Whatever the memory and the cores, what is chosen fits, and is not less than it must be.

    use super::*;
    use penstock_queue::{RETA_ENTRIES, RSS_KEY_BYTES, Rss};
    use penstock_server::Server;

    /// A demo server's room.
    fn room(cores: u16, bytes: usize) -> Room<'static> {
        Room { cores, bytes, application: &|_, connections| Server::bytes(connections) }
    }

    #[test]
    fn plenty_is_what_was_wanted() {
        let wanted = Capacity::default();
        assert_eq!(room(4, 4 << 30).fitted(wanted), Ok(wanted));
        let many = Capacity { connections: 2_000_000, ..wanted };
        assert_eq!(room(4, 8 << 30).fitted(many), Ok(many));
        assert_eq!(mail_frames(4, 4 << 30), MAIL_FRAMES_MOST);
    }

    #[test]
    fn what_is_chosen_fits_and_twice_as_much_would_not() {
        let usual = Capacity::default();
        for wanted in [usual, Capacity { connections: 2_000_000, ..usual }] {
            for cores in [1, 2, 3, 4, 8, 16, 64, 128] {
                for megabytes in [3, 6, 8, 14, 30, 62, 120, 250, 500, 1000, 2000, 16_000] {
                    let room = room(cores, megabytes << 20);
                    match room.fitted(wanted) {
                        Ok(capacity) => chosen_well(&room, wanted, capacity),
                        // The word for who asks for too many cores is true: so much would do.
                        Err(least) => {
                            assert!(least > room.bytes, "{cores} on {megabytes} MB");
                            let more = Room { bytes: least * 8 / 7, ..room };
                            assert!(more.fitted(wanted).is_ok());
                        }
                    }
                }
            }
        }
    }

    fn chosen_well(room: &Room<'_>, wanted: Capacity, capacity: Capacity) {
        let &Room { cores, bytes, .. } = room;
        assert!(room.needed(&capacity) <= bytes, "{cores} on {bytes}");
        let mut twice = capacity;
        twice.connections *= 2;
        if capacity.connections < Capacity::default().connections {
            twice.flights *= 2;
            twice.half_open *= 2;
            twice.time_wait *= 2;
            twice.chunks *= 2;
        }
        let is_more = room.needed(&twice) > bytes;
        assert!(capacity == wanted || is_more, "{cores} on {bytes} could have more: {capacity:?}");
    }

    #[test]
    fn an_application_that_takes_it_all_is_said_to() {
        let takes = |bytes: usize| move |_: u16, _: u32| bytes;
        let room = Room { cores: 2, bytes: 64 << 20, application: &takes(40 << 20) };
        let least = room.fitted(Capacity::default());
        assert!(least.is_err_and(|least| least > 80 << 20 && least < 100 << 20));
        let room = Room { cores: 1, ..room };
        assert!(room.fitted(Capacity::default()).is_ok());
    }

    #[test]
    fn rings_are_halved_as_far_as_the_driver_goes() {
        let rss = Rss { key: [0; RSS_KEY_BYTES], reta: [0; RETA_ENTRIES] };
        let config = Config::new(2, rss);
        let wanted = config.memory_bytes();
        let rings = |bytes| {
            let config = with_rings_that_fit(config.clone(), bytes);
            (config.receive_ring, config.transmit_ring)
        };
        assert_eq!(rings(wanted), (512, 512));
        assert_eq!(rings(wanted - 1), (256, 256));
        assert_eq!(rings(0), (RING_LEAST, RING_LEAST));
    }
}
