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

/// The capacity of each of so many cores: what is wanted, or that halved, all alike, until it fits.
///
/// # Errors
/// The memory that the least of all capacities would take, in bytes.
pub(crate) fn fitted(wanted: Capacity, cores: u16, bytes: usize) -> Result<Capacity, usize> {
    let all = usize::from(cores);
    let boxes = mail_bytes(cores, mail_frames(cores, bytes));
    // An eighth stays for what is allocated beside it, and for gaps.
    let for_each = bytes.saturating_sub(boxes) / all / 8 * 7;
    let mut capacity = wanted;
    while needed(&capacity) > for_each {
        if capacity.connections <= LEAST {
            return Err((needed(&capacity) / 7 * 8 + 1) * all + boxes);
        }
        let Capacity { connections, flights, half_open, time_wait, chunks, .. } = &mut capacity;
        for bound in [connections, flights, half_open, time_wait, chunks] {
            *bound = (*bound / 2).max(LEAST);
        }
    }
    Ok(capacity)
}

/// What a worker and its application take for it, rounded up: the record, its place in the table,
/// its timer, and the application's own of each connection.
fn needed(capacity: &Capacity) -> usize {
    let &Capacity { connections, flights, half_open, time_wait, chunks, .. } = capacity;
    let each =
        [(connections, 320), (flights, 1024), (half_open, 96), (time_wait, 64), (chunks, 2112)];
    FIXED + each.iter().map(|&(count, bytes)| count as usize * bytes).sum::<usize>()
}

/// Neighbours, listeners, the wheel, buffers for half-read heads, and patterns of the demo server.
const FIXED: usize = 2 << 20;
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

    fn all(capacity: &Capacity, cores: u16, bytes: usize) -> usize {
        needed(capacity) * usize::from(cores) + mail_bytes(cores, mail_frames(cores, bytes))
    }

    #[test]
    fn plenty_is_what_was_wanted() {
        let wanted = Capacity::default();
        assert_eq!(fitted(wanted, 4, 4 << 30), Ok(wanted));
        assert_eq!(mail_frames(4, 4 << 30), MAIL_FRAMES_MOST);
    }

    #[test]
    fn what_is_chosen_fits_and_twice_as_much_would_not() {
        let wanted = Capacity::default();
        for cores in [1, 2, 3, 4, 8, 16, 64, 128] {
            for megabytes in [3, 6, 8, 14, 30, 62, 120, 250, 500, 1000, 2000, 16_000] {
                let bytes = megabytes << 20;
                match fitted(wanted, cores, bytes) {
                    Ok(capacity) => {
                        assert!(all(&capacity, cores, bytes) <= bytes, "{cores} on {megabytes} MB");
                        let mut twice = capacity;
                        twice.connections *= 2;
                        twice.flights *= 2;
                        twice.half_open *= 2;
                        twice.time_wait *= 2;
                        twice.chunks *= 2;
                        assert!(
                            capacity == wanted || all(&twice, cores, bytes) * 8 / 7 > bytes,
                            "{cores} on {megabytes} MB could have more than {capacity:?}"
                        );
                    }
                    // The word for who asks for too many cores is true: so much would do.
                    Err(least) => {
                        assert!(least > bytes, "{cores} on {megabytes} MB");
                        assert!(fitted(wanted, cores, least * 8 / 7).is_ok());
                    }
                }
            }
        }
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
