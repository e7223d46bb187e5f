//! Halted cores: deadlines are kept, and mail wakes them.

use core::sync::atomic::{AtomicU64, Ordering};
use penstock_kernel::machine::Core;
use penstock_kernel::{clock, cores, idle, info};

/// A hundred short sleeps on each core; says how late it woke, and whether it ever woke early.
pub(crate) fn timers(mut core: Core) {
    const SLEEPS: u64 = 100;
    const SLEEP_NS: u64 = 2_000_000;
    core.seal();
    let mut late_ns = [0; SLEEPS as usize];
    for late in &mut late_ns {
        let deadline = core.turn() + SLEEP_NS;
        while clock::now_ns() < deadline {
            core.rest(deadline, &mut || false);
        }
        *late = clock::now_ns() - deadline;
    }
    late_ns.sort_unstable();
    let (best, worst) = (late_ns[0] / 1_000, late_ns[SLEEPS as usize - 1] / 1_000);
    let id = core.id();
    info!("probe: core {id} woke {SLEEPS} times, {best} us late at best, {worst} us at worst");
}

/// A token goes around all cores; each halts until it has it. A wake that is lost costs ten seconds,
/// and is seen.
pub(crate) fn wake(mut core: Core) {
    static TOKEN: AtomicU64 = AtomicU64::new(0);
    const ROUNDS: u64 = 500;
    const DEADLINE_NS: u64 = 10_000_000_000;
    core.seal();
    let count = cores::count() as u64;
    let number = core.id() as u64;
    let mine = |token: u64| token % count == number || token >= ROUNDS * count;
    let begin = clock::now_ns();
    let mut lost = 0;
    loop {
        let asked = core.turn();
        while !mine(TOKEN.load(Ordering::Acquire)) {
            core.rest(asked + DEADLINE_NS, &mut || mine(TOKEN.load(Ordering::Acquire)));
            lost += u64::from(clock::now_ns() - asked > DEADLINE_NS);
            core.turn();
        }
        let token = TOKEN.load(Ordering::Acquire);
        if token >= ROUNDS * count {
            break;
        }
        TOKEN.store(token + 1, Ordering::Release);
        idle::wake(((token + 1) % count) as usize);
    }
    (0..cores::count()).for_each(idle::wake);
    let us = (clock::now_ns() - begin) / 1_000 / (ROUNDS * count);
    info!("probe: core {} passed its token {ROUNDS} times, {us} us each, {lost} lost", core.id());
}

/// Waits for longer than a core may stand still, as a driver does: in pieces.
pub(crate) fn waits(mut core: Core) {
    core.seal();
    core.turn();
    (0..300).for_each(|_| clock::delay_us(10_000));
    core.turn();
    info!("probe: core {} has waited", core.id());
}
