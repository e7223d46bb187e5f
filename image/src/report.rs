//! What cores and cards have counted, a line for each when it ends: counters that are 0 are left out.

use core::cell::RefCell;
use core::fmt;

use penstock_hw::Mapped;
use penstock_ixgbe::Nic;
use penstock_kernel::info;
use penstock_kernel::pci::Address;
use penstock_stack::Counters;

/// The stack of a core, by the names of Linux's `netstat -s` where it has them.
pub(crate) fn core(number: usize, counters: &Counters) {
    info!(
        "core {number}:{}",
        Named(|f: &mut fmt::Formatter<'_>| {
            counters
                .iter()
                .filter(|&(_, value)| value > 0)
                .try_for_each(|(name, value)| write!(f, " {name} {value}"))
        })
    );
}

/// A card, by the names of Linux's `ethtool -S`.
pub(crate) fn card(address: Address, nic: &mut Nic<Mapped>) {
    let nic = RefCell::new(nic);
    info!(
        "nic {address}:{}",
        Named(|f: &mut fmt::Formatter<'_>| {
            let mut said = Ok(());
            nic.borrow_mut().statistics(|name, value| {
                if value > 0 && said.is_ok() {
                    said = write!(f, " {name} {value}");
                }
            });
            said
        })
    );
}

/// Text that is made while it is printed: nothing can be allocated any more.
struct Named<F>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Named<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}
