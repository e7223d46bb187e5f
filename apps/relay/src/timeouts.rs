//! How long a session may wait, by HAProxy's words.

use penstock_stack::Duration;

/// How long a session may wait; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// For the server to answer the handshake (`timeout connect`).
    pub connect: Option<Duration>,
    /// For the client to say or to take something (`timeout client`).
    pub client: Option<Duration>,
    /// For the server (`timeout server`).
    pub server: Option<Duration>,
    /// For the client, once our FIN is on its way to it (`timeout client-fin`).
    pub client_fin: Option<Duration>,
    /// For the server, once our FIN is on its way to it (`timeout server-fin`).
    pub server_fin: Option<Duration>,
    /// For either, in place of `client` and `server` once both are connected (`timeout tunnel`).
    pub tunnel: Option<Duration>,
}

/// The same in milliseconds, where the state of an end finds it in one step; [`NEVER`] is for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    pub(crate) connect_ms: u32,
    /// When a server has answered, nothing is due before its answer was.
    pub(crate) connect_is_least: bool,
    /// By whether it is the server's end; by whether it is connected and by whether our FIN is on its
    /// way to it.
    ends_ms: [[u32; 4]; 2],
    /// By whether it is the server's end: a FIN to it begins a time of its own.
    has_fin: [bool; 2],
}

impl Spans {
    pub(crate) fn new(timeouts: &Timeouts) -> Spans {
        let Timeouts { connect, client, server, client_fin, server_fin, tunnel } = *timeouts;
        let end = |own: Option<Duration>, fin: Option<Duration>| {
            let connected = tunnel.or(own);
            [own, connected, fin.or(own), fin.or(connected)].map(span_ms)
        };
        let connect_ms = span_ms(connect);
        let ends_ms = [end(client, client_fin), end(server, server_fin)];
        // Where a tunnel has a time of its own, a client's silence counts by that from its beginning.
        let connect_is_least =
            tunnel.is_none() && ends_ms.iter().flatten().all(|&span_ms| connect_ms <= span_ms);
        let has_fin = [client_fin, server_fin].map(|fin| fin.is_some());
        Spans { connect_ms, connect_is_least, ends_ms, has_fin }
    }

    /// What holds for one end of a session.
    #[inline]
    pub(crate) fn of_end_ms(&self, is_server: bool, is_connected: bool, is_shut: bool) -> u32 {
        self.ends_ms[usize::from(is_server)][usize::from(is_shut) << 1 | usize::from(is_connected)]
    }

    /// Whether a FIN to this end begins a time of its own: what it was silent before counts no more.
    #[inline]
    pub(crate) fn fin_begins_anew(&self, is_server: bool) -> bool {
        self.has_fin[usize::from(is_server)]
    }
}

/// What is left of a span that began `since_ms` ago.
#[inline]
pub(crate) fn left_ms(span_ms: u32, since_ms: u32) -> u32 {
    if span_ms == NEVER { NEVER } else { span_ms.saturating_sub(since_ms) }
}

fn span_ms(span: Option<Duration>) -> u32 {
    span.map_or(NEVER, |span| span.millis().min((NEVER - 1).into()) as u32)
}

/// Longer than any wait.
pub(crate) const NEVER: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    //! The timer that waits for a server's answer is kept only where nothing is due before it.

    use super::*;

    #[test]
    fn what_is_due_after_an_answer_is_compared_with_connect() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let usual = Timeouts {
            connect: seconds(5),
            client: seconds(60),
            server: seconds(5),
            ..Timeouts::default()
        };
        let is_least = |timeouts| Spans::new(&timeouts).connect_is_least;
        assert!(is_least(usual));
        assert!(is_least(Timeouts { server: None, ..usual }));
        assert!(!is_least(Timeouts { server: seconds(4), ..usual }));
        assert!(!is_least(Timeouts { client_fin: seconds(1), ..usual }));
        assert!(!is_least(Timeouts { connect: None, ..usual }));
        assert!(!is_least(Timeouts { tunnel: seconds(3600), ..usual }));
    }
}
