//! Ladder scripts: one behaviour of TCP each, as a text of segments and times.
//!
//! Whoever has read packetdrill can read them. The peers are the script; the worker is real, and so
//! is its application, which does as it is told. Each script runs over IPv4 and over IPv6.
//!
//! ```text
//! # rfc9293#3.8.1: "...the sending TCP endpoint ... retransmits"      a comment
//! config timestamps=0 rto_min=300ms          knobs of Config, Tcp, SocketOptions, Capacity
//! listen 80
//! only v4                                    where the families differ
//!
//! +0     < S 0:0(0) win 65535 <mss 1000>     a peer sends; numbers count from its first
//! +0     > S. 0:0(0) ack 1 <mss own>         the worker sends, at that time (2 ms either way)
//! +0.1   < . 1:1(0) ack 1                    0.1 s later; the window stays what it was
//! +0     upcall accept                       the application has heard
//! +0     app send 1000                       the application calls
//! +0     > P. 1:1001(1000) ack 1
//! *      > P. 1:1001(1000) ack 1             whenever it comes
//! +1     none                                a second in which nothing is sent
//! +0     state Established
//! ```
//! A time is counted from the step before it: for `>`, from when that segment was really sent.
//! **Whatever the worker sends must be expected**, in order. In an expectation, PSH counts only
//! where it is written; so do the window and the options (`<>`: none at all). `any` is any number in
//! an option, `own` the worker's own MSS. Timestamps of the worker count in milliseconds from the
//! script's start; `ecr own` echoes its last one.
//!
//! Further: `[2]` behind the time is the second peer (another remote port), `[2:81]` the same
//! towards local port 81; `within data send 10` calls from inside the next upcall with data;
//! `< . 1:11(10) ack 1 with tcpsum` has a wrong checksum (further: `ipsum`, IP `options`, `hopbyhop`,
//! `fragment`, `atomic`, to `broadcast` or another `station`);
//! `drop TcpPaws 1`, `event TcpTimeouts 2`, `census half_open=1` and `info cwnd=10000` read
//! counters, tables and the connection; `< icmp toobig mtu 1300 quote 1` is a router's complaint;
//! `fresh 5000` has the peer number its next connection from there; `quick` sends bytes 1 to 16 one by one,
//! after which acknowledgements are delayed. Bytes are checked by
//! themselves, in both directions.
//!
//! ```text
//!   cursor.rs, parse.rs, config.rs   text to script.rs, which is data
//!   run.rs                           the steps     segment.rs   segments as they are written
//!   stage.rs                         the worker    player.rs    its application
//! ```

mod config;
mod cursor;
mod oddity;
mod parse;
mod player;
mod run;
mod script;
mod segment;
mod stage;

pub use cursor::SyntaxError;
pub use run::Failure;
pub use script::Script;

#[cfg(test)]
mod tests;
