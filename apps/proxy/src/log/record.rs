//! What is known of a session when its line is due.

use penstock_stack::{Duration, Endpoint};

/// A session, as a log line sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The time of day, since 1970, at which the client was accepted.
    pub accepted_at: Duration,
    /// The client, as a PROXY header named it, if there was one.
    pub client: Option<Endpoint>,
    /// Where the client came to.
    pub frontend_end: Option<Endpoint>,
    /// Our end of the connection to the server; `None` where there never was one.
    pub backend_end: Option<Endpoint>,
    /// The server's end of it.
    pub server_end: Option<Endpoint>,
    /// The frontend's name.
    pub frontend: &'a str,
    /// The backend's, or again the frontend's when none was chosen.
    pub backend: &'a str,
    /// The server's.
    pub server: Option<&'a str>,
    /// What took how long.
    pub timers: Timers,
    /// How it ended, as two letters: section 8.5.
    pub termination: [u8; 2],
    /// Bytes from the client that the server was sent.
    pub bytes_up: u64,
    /// Bytes from the server that the client was sent.
    pub bytes_down: u64,
    /// Connections at this moment, this one included.
    pub counts: Counts,
    /// Attempts to connect after the first.
    pub retries: u32,
    /// Another server was taken after the first had failed.
    pub is_redispatched: bool,
    /// How many were before it in the server's queue.
    pub server_queue: u32,
    /// How many were before it in the backend's.
    pub backend_queue: u32,
    /// What `unique-id-format` made.
    pub unique_id: &'a [u8],
    /// Sessions of the process before it.
    pub sessions_before: u32,
    /// Lines of the frontend before it.
    pub lines_before: u32,
    /// It is not over yet (`option logasap`): what may grow has a `+` in front.
    pub is_early: bool,
    /// The machine's name.
    pub host_name: &'a str,
    /// The process's number.
    pub pid: u32,
}

/// Moments of a session, in milliseconds since it was accepted; `None` is not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Timers {
    /// A PROXY header was complete; 0 where none was awaited.
    pub handshake_ms: u32,
    /// A server was looked for: rules and the wait for bytes are over.
    pub request_ms: Option<u32>,
    /// It had left every queue.
    pub queue_ms: Option<u32>,
    /// The server had answered the handshake.
    pub connect_ms: Option<u32>,
    /// It ended, or now.
    pub close_ms: u32,
}

/// Connections of the process, the frontend, the backend and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Of the process.
    pub process: u32,
    /// Of the frontend.
    pub frontend: u32,
    /// Of the backend.
    pub backend: u32,
    /// Of the server.
    pub server: u32,
}

impl Record<'_> {
    /// Of no session at all.
    pub const NOBODY: Record<'static> = Record {
        accepted_at: Duration(0),
        client: None,
        frontend_end: None,
        backend_end: None,
        server_end: None,
        frontend: "",
        backend: "",
        server: None,
        timers: Timers {
            handshake_ms: 0,
            request_ms: None,
            queue_ms: None,
            connect_ms: None,
            close_ms: 0,
        },
        termination: *b"PR",
        bytes_up: 0,
        bytes_down: 0,
        counts: Counts { process: 0, frontend: 0, backend: 0, server: 0 },
        retries: 0,
        is_redispatched: false,
        server_queue: 0,
        backend_queue: 0,
        unique_id: b"",
        sessions_before: 0,
        lines_before: 0,
        is_early: false,
        host_name: "",
        pid: 1,
    };
}

impl Timers {
    /// `%Tw`: in queues.
    pub fn queued(&self) -> Option<u32> {
        Some(self.queue_ms?.saturating_sub(self.request_ms.unwrap_or(0)))
    }

    /// `%Tc`: to connect.
    pub fn connecting(&self) -> Option<u32> {
        Some(self.connect_ms?.saturating_sub(self.queue_ms.unwrap_or(0)))
    }

    /// `%Td`: from then to the end.
    pub fn transferring(&self) -> Option<u32> {
        Some(self.close_ms.saturating_sub(self.connect_ms?))
    }
}
