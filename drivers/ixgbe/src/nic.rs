//! The card as a whole: brought up once, then looked at from time to time by one core.

use alloc::boxed::Box;
use alloc::vec::Vec;

use penstock_hw::{Device, Dma};
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::rxctrl;

use crate::config::Config;
use crate::error::Error;
use crate::filters::Filters;
use crate::limits::{POLL_US, RESET_GAP_US};
use crate::link::{Link, read_link};
use crate::queue::Seed;
use crate::recover::{Reason, Watch};
use crate::registers::Registers;
use crate::shared::Shared;
use crate::statistics::Statistics;
use crate::{bring_up, interrupts};

/// A card, without its queue pairs: those are on their cores.
#[derive(Debug)]
pub struct Nic<D: Device> {
    card: Registers<D>,
    config: Config,
    shared: Shared,
    station: [u8; 6],
    state: State,
    link: Link,
    watches: Box<[Watch]>,
    statistics: Statistics,
    polled_us: Option<u64>,
    reset_us: Option<u64>,
}

/// Where the card stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Configured; queues arm their rings.
    Arming { epoch: u32 },
    /// The receive path is open.
    Running,
    /// A reset failed, or the card does not answer; it is tried again.
    Failed,
}

/// What a look at the card found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The link, if it changed.
    pub link: Option<Link>,
    /// The card was reset, and why. Frames in flight were lost.
    pub reset: Option<Reason>,
    /// The card could not be brought back. It is tried again at least a second later.
    pub error: Option<Error>,
}

impl<D: Device> Nic<D> {
    /// Resets and configures the card, and splits it: one seed per queue pair, each to be started on
    /// its core, and the rest. The card must be allowed to reach memory
    /// ([`Function::enable`](penstock_hw::Function::enable)). Frames arrive once every queue pair
    /// has had its first turn and [`poll`](Self::poll) has seen it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn bring_up(
        device: D,
        mut memory: Dma<D::Keeper>,
        config: Config,
    ) -> Result<(Nic<D>, Vec<Seed<D>>), Error> {
        config.check()?;
        let shared = Shared::new(config.queues);
        let seeds = (0..config.queues)
            .map(|number| Seed::new(number, device.clone(), shared.clone(), &mut memory, &config))
            .collect::<Result<Vec<_>, Error>>()?;
        let card = Registers::new(device);
        bring_up::reset(&card)?;
        let station = bring_up::configure(&card, &config)?;
        // What was counted before is nobody's.
        Statistics::default().read(&card);
        let mut nic = Nic {
            card,
            watches: seeds.iter().map(|_| Watch::default()).collect(),
            config,
            station,
            state: State::Arming { epoch: shared.begin_epoch() },
            shared,
            link: Link::Down,
            statistics: Statistics::default(),
            polled_us: None,
            reset_us: None,
        };
        nic.link = read_link(&nic.card);
        Ok((nic, seeds))
    }

    /// The station address in use.
    pub fn station(&self) -> [u8; 6] {
        self.station
    }

    /// The link, as it was at the last look.
    pub fn link(&self) -> Link {
        self.link
    }

    /// Whether the receive path is open.
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Looks after the card: link, hangs, resets that nobody asked for. Cheap to call in every turn;
    /// it looks every 50 ms. Where a reset is needed it takes about as long, and all queues of the
    /// card are without it meanwhile.
    pub fn poll(&mut self, now_us: u64) -> Report {
        let mut report = Report::default();
        if let State::Arming { epoch } = self.state {
            // Words of the queues alone, so that frames need not wait for the next look.
            self.finish_arming(epoch, now_us, &mut report);
        }
        if self.polled_us.is_some_and(|polled_us| now_us.saturating_sub(polled_us) < POLL_US) {
            return report;
        }
        self.polled_us = Some(now_us);
        if let Some(reason) = self.diagnose(now_us) {
            self.reset(now_us, reason, &mut report);
        }
        let link = if self.state == State::Failed { Link::Down } else { read_link(&self.card) };
        if link != self.link {
            self.link = link;
            report.link = Some(link);
        }
        self.statistics.refresh(now_us, &self.card);
        report
    }

    /// The message of vector 63 has come: the next [`poll`](Self::poll) looks.
    pub fn on_interrupt(&mut self) {
        // The read clears the causes.
        self.statistics.lsc_int += 1;
        self.card.read(regs::EICR);
        self.polled_us = None;
    }

    /// Changes what the card takes.
    ///
    /// # Errors
    /// [`Error::UnicastAddresses`].
    pub fn set_filters(&mut self, filters: Filters) -> Result<(), Error> {
        filters.check()?;
        self.station = filters.station.unwrap_or(self.station);
        self.config.filters = filters;
        self.config.filters.program(&self.card, self.station);
        Ok(())
    }

    /// Names and values, as `ethtool -S` shows them.
    pub fn statistics(&mut self, mut each: impl FnMut(core::fmt::Arguments<'_>, u64)) {
        if self.state != State::Failed {
            self.statistics.read(&self.card);
        }
        self.statistics.visit(&self.shared, &mut each);
    }

    /// Silences the card. Queue pairs that still run find nothing and send nothing.
    ///
    /// # Errors
    /// The card may have to be left as it is; its function must then be kept from memory
    /// ([`Function::disable_bus_master`](penstock_hw::Function::disable_bus_master)).
    pub fn shut_down(self) -> Result<(), Error> {
        bring_up::shut_down(&self.card)
    }

    /// Opens the receive path once every queue has armed its rings.
    fn finish_arming(&mut self, epoch: u32, now_us: u64, report: &mut Report) {
        if (0..self.config.queues).any(|queue| !self.shared.is_armed(queue, epoch)) {
            return;
        }
        match bring_up::enable_receive(&self.card) {
            Ok(()) => {
                self.state = State::Running;
                for (queue, watch) in (0..).zip(&mut self.watches) {
                    *watch = Watch::new(self.shared.published(queue), now_us);
                }
            }
            Err(error) => self.fail(now_us, error, report),
        }
    }

    /// Whether the card must be reset, and why.
    fn diagnose(&mut self, now_us: u64) -> Option<Reason> {
        if self.state == State::Failed {
            let is_back = !self.card.is_absent();
            return (is_back && self.may_reset(now_us)).then_some(Reason::Failed);
        }
        if self.card.is_absent() {
            return Some(Reason::Absent);
        }
        if let State::Arming { epoch } = self.state {
            let failed = |&queue: &u16| self.shared.has_failed(queue, epoch);
            let queue = (0..self.config.queues).find(failed)?;
            return self.may_reset(now_us).then_some(Reason::ArmFailed { queue });
        }
        // We set it; nothing but a reset clears it.
        if self.card.read(regs::RXCTRL) & rxctrl::RXEN == 0 {
            return Some(Reason::Surprise);
        }
        let is_up = self.link != Link::Down;
        for (queue, watch) in (0..).zip(&mut self.watches) {
            let published = self.shared.published(queue);
            let ring = self.config.receive_ring;
            if let Some(reason) = watch.look(&self.card, queue, published, ring, is_up, now_us) {
                return self.may_reset(now_us).then_some(reason);
            }
        }
        None
    }

    fn may_reset(&self, now_us: u64) -> bool {
        self.reset_us.is_none_or(|reset_us| now_us.saturating_sub(reset_us) >= RESET_GAP_US)
    }

    /// Brings the card back: everything is programmed anew, and the queues arm their rings.
    fn reset(&mut self, now_us: u64, reason: Reason, report: &mut Report) {
        report.reset = Some(reason);
        self.statistics.resets += 1;
        self.statistics.tx_timeouts += u64::from(matches!(reason, Reason::TransmitHang { .. }));
        self.reset_us = Some(now_us);
        let done = bring_up::reset(&self.card)
            .and_then(|()| bring_up::configure(&self.card, &self.config));
        match done {
            Ok(_) => {
                self.state = State::Arming { epoch: self.shared.begin_epoch() };
                if self.config.interrupts.is_some() {
                    // Cores that sleep have rings to arm.
                    interrupts::wake_all(&self.card);
                }
            }
            Err(error) => self.fail(now_us, error, report),
        }
    }

    fn fail(&mut self, now_us: u64, error: Error, report: &mut Report) {
        self.state = State::Failed;
        self.reset_us = Some(now_us);
        report.error = Some(error);
    }
}
