//! What a message does to an entry: RFC 4861 section 7.2 as functions of what is known and what is
//! heard.

use super::entries::State;

/// What an advertisement does to an entry.
pub(super) enum Reaction {
    /// The station is recorded, and this the state.
    Take(State),
    /// The entry becomes stale and keeps its station.
    Doubt,
    Ignore,
}

/// RFC 4861 section 7.2.5: from what is known, what is heard, and its flags.
pub(super) fn on_reply(state: State, differs: bool, solicited: bool, override_: bool) -> Reaction {
    //= rfc4861#7.2.5
    //# If the advertisement's Solicited flag is set, the state of the entry is set to REACHABLE;
    //# otherwise, it is set to STALE.
    if !state.is_known() {
        // In RFC 4861 a failed entry is no entry; a late answer is as good as one in time.
        return Reaction::Take(if solicited { State::Reachable } else { State::Stale });
    }
    //= rfc4861#7.2.5
    //# If the state of the entry is REACHABLE, set it to STALE, but do not update the entry in any
    //# other way.
    if !override_ && differs {
        return if state == State::Reachable { Reaction::Doubt } else { Reaction::Ignore };
    }
    Reaction::Take(match (solicited, differs) {
        (true, _) => State::Reachable,
        (false, true) => State::Stale,
        (false, false) => state,
    })
}

/// RFC 4861 section 7.2.3.
pub(super) fn on_request(state: State, differs: bool) -> State {
    //= rfc4861#7.2.3
    //# If an entry already exists, and the cached link-layer address differs from the one in the
    //# received Source Link-Layer option, the cached address should be replaced by the received
    //# address, and the entry's reachability state MUST be set to STALE.
    if differs { State::Stale } else { state }
}

/// What another core heard answers our question, where we had one.
pub(super) fn on_mail(state: State, differs: bool) -> State {
    match (state, differs) {
        (State::Incomplete, _) | (State::Probe, false) => State::Reachable,
        (_, true) => State::Stale,
        (state, false) => state,
    }
}
