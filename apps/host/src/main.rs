//! Any application as a Linux process.
//!
//! ```text
//!   penstock-host --tap dut0 "ip=10.82.0.2/24 -- server -a 0.0.0.0:80 -k -v"
//! ```
//! The same worker, the same application and the same boot string as in the image; below them a TAP
//! device instead of a card, Linux's clock, and a thread for each core. So an application is
//! developed in seconds, and judged by clients that nobody here wrote.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | the command line |
//! | `haproxy.rs` | HAProxy's command line: this process in the place of `haproxy` |
//! | `check.rs` | `-c`: a configuration of the proxy, checked as HAProxy does |
//! | `launch.rs` | from HAProxy's command line to a process at work, between Linux's own sockets |
//! | `inherited.rs` | sockets that the process was started with |
//! | `localhost.rs` | Linux's loopback as a network that our stack is in |
//! | `porter.rs` | from Linux's listening sockets to our listeners |
//! | `boot.rs` | from a boot string to a process at work |
//! | `ground.rs` | the TAP devices, and what is made once for all cores |
//! | `core_loop.rs` | one core: turns, sleep, and the way to stop |
//! | `bell.rs` | how a core sleeps, and how another wakes it |
//! | `house.rs` | the thread that waits for signals and for the end of the others |
//! | `control.rs` | the control plane beneath it, as something this host can run |
//! | `server.rs` | the demo server as something this host can run |
//! | `proxy.rs` | the proxy as something this host can run |
//! | `report.rs` | counters as lines, and what is left at the end |
//!
//! Exit codes: 0 for a clean end, 1 for what cannot start, 2 when something was left or leaked.

mod bell;
mod boot;
mod check;
mod control;
mod core_loop;
mod ground;
mod haproxy;
mod house;
mod inherited;
mod launch;
mod localhost;
mod options;
mod porter;
mod proxy;
mod report;
mod server;

use std::process::ExitCode;

use options::Command;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    match haproxy::parse(&args) {
        Some(Ok(command)) => return command.run(),
        Some(Err(errors)) => return refuse(&errors),
        None => {}
    }
    let options = match options::parse(args) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Print(text)) => {
            report::print(text);
            return ExitCode::SUCCESS;
        }
        Err(errors) => return refuse(&errors),
    };
    match boot::start(&options) {
        Ok(house) => house.run(),
        Err(errors) => refuse(&errors),
    }
}

/// All that is wrong, a line for each.
fn refuse(lines: &[String]) -> ExitCode {
    for line in lines {
        eprintln!("penstock-host: {line}");
    }
    ExitCode::from(CANNOT_START)
}

const CANNOT_START: u8 = 1;
