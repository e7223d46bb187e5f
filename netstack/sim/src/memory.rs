//! Nothing allocates after start: a worker's turn runs where the allocator counts every call as an
//! offence, and what belongs to the simulator steps out of that with [`permit`].

use assert_no_alloc::AllocDisabler;

/// In the library, so that every binary and test that links the simulator watches its workers.
#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// Runs `work`, and says how many times it called the allocator.
pub(crate) fn watch<R>(work: impl FnOnce() -> R) -> (R, u32) {
    assert_no_alloc::reset_violation_count();
    let result = assert_no_alloc::assert_no_alloc(work);
    (result, assert_no_alloc::violation_count())
}

/// Runs `work` with the allocator allowed: for the models of card and application, which are not
/// what is watched.
pub(crate) fn permit<R>(work: impl FnOnce() -> R) -> R {
    assert_no_alloc::permit_alloc(work)
}

#[cfg(test)]
mod tests {
    use super::{permit, watch};

    #[test]
    fn an_allocation_is_noticed_unless_it_is_permitted() {
        assert_eq!(watch(|| drop(std::hint::black_box(vec![0u8; 64]))).1, 2);
        assert_eq!(watch(|| permit(|| drop(std::hint::black_box(vec![0u8; 64])))).1, 0);
    }
}
