//! A connection to a server has failed: whether it is tried again (`retries`), and with which server
//! (`option redispatch`).

use penstock_config::haproxy::Redispatch;
use penstock_stack::Cx;

use crate::limits;
use crate::proxy::Proxy;
use crate::session::{Phase, Session, SessionId, Termination};

/// Why there is no connection to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It cannot even be tried: there is no way there, or no port to leave from.
    AtOnce,
    /// It refused.
    Refused,
    /// It did not answer in time.
    TimedOut,
}

impl Proxy {
    /// The connection to its server has failed.
    pub(crate) fn connection_failed(&mut self, cx: &mut Cx<'_>, id: SessionId, failure: Failure) {
        let Some(&Session { backend: Some(backend), server: Some(server), .. }) = self.session(id)
        else {
            return;
        };
        if self.setup.observes {
            self.observe_failure(cx, server);
        }
        self.count_out_of_server(id, server);
        let configuration = self.setup.backend(backend);
        let retries_max = configuration.retries.0;
        let Some(session) = self.session_mut(id) else { return };
        if session.retries >= retries_max {
            let end = match failure {
                Failure::AtOnce | Failure::Refused => Termination::NO_SERVER,
                Failure::TimedOut => Termination::CONNECT_TIMEOUT,
            };
            self.turn_away(cx, id, end);
            return;
        }
        session.retries += 1;
        let (retries, is_directed) = (session.retries, session.has(Session::DIRECTED));
        let is_forced = session.has(Session::FORCED);
        self.statistics.retries += 1;
        let balancer = &self.backends[backend as usize].balancer;
        let has_others = balancer.active_count() > 1;
        let any_will_do = has_others && !is_directed && !balancer.goes_by_key();
        let is_gone = !self.servers[server as usize].standing.is_running();
        let moves = configuration.redispatch.is_some_and(|redispatch| {
            !is_forced && (is_gone || is_due(redispatch, retries, retries_max) || any_will_do)
        });
        // To ask the same server at once would end the same way.
        let pauses = match failure {
            Failure::AtOnce => true,
            Failure::Refused => !(moves && has_others),
            Failure::TimedOut => false,
        };
        if moves {
            self.give_slot_up(id);
        }
        if let Some(session) = self.session_mut(id) {
            session.phase = Phase::Pause;
            if moves {
                session.take(Session::DIRECTED);
                session.set(Session::MOVES);
            }
        }
        if pauses && self.has_left(cx, id) {
            // Nobody waits for it: HAProxy calls that an end as any other.
            self.turn_away(cx, id, Termination::NORMAL);
        } else if pauses {
            let connect = configuration.timeouts.connect.unwrap_or(limits::PAUSE);
            self.wait(cx, id, Some(connect.min(limits::PAUSE)));
        } else {
            self.try_again(cx, id);
        }
    }

    /// The pause is over.
    pub(crate) fn try_again(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.session_mut(id) else { return };
        let moves = session.take(Session::MOVES);
        match session.server {
            Some(server) if !moves => self.connect(cx, id, server),
            _ => self.assign(cx, id),
        }
    }
}

/// Whether this try may go to another server.
fn is_due(redispatch: Redispatch, retries: u16, retries_max: u16) -> bool {
    match redispatch {
        Redispatch::Every(every) => retries.checked_rem(every) == Some(0),
        Redispatch::FromLast(last) => {
            let every = (retries_max + 1).saturating_sub(last).max(1);
            retries.is_multiple_of(every)
        }
    }
}

#[cfg(test)]
mod tests {
    //! The tries of HAProxy's `option redispatch`.

    use super::*;

    #[test]
    fn a_try_moves_as_often_as_is_said() {
        let moving = |redispatch, most| {
            let tries = (1..=most).filter(|&nth| is_due(redispatch, nth, most));
            tries.collect::<std::vec::Vec<u16>>()
        };
        assert_eq!(moving(Redispatch::FromLast(1), 3), [3], "by default");
        assert_eq!(moving(Redispatch::FromLast(2), 3), [2]);
        assert_eq!(moving(Redispatch::FromLast(9), 3), [1, 2, 3]);
        assert_eq!(moving(Redispatch::Every(1), 3), [1, 2, 3]);
        assert_eq!(moving(Redispatch::Every(2), 5), [2, 4]);
        assert_eq!(moving(Redispatch::Every(0), 3), [0; 0]);
    }
}
