//! From HAProxy's command line to a process at work, between Linux's own sockets.
//!
//! Sessions run through our stack and our proxy as on any TAP (`ground.rs`); the TAP leads to this
//! machine itself. `localhost.rs` says how servers are reached, `porter.rs` how clients come in. What
//! is different from HAProxy on Linux's own sockets:
//!
//! - servers see 169.254.x.y, not 127.0.0.1, as where a session comes from, and so do rules on the
//!   connection, before the PROXY header, as where it came to;
//! - a client is let in by Linux, so that it is connected before a rule can refuse it;
//! - its segments and window are Linux's and, once more, ours.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddrV4, TcpListener};
use std::path::PathBuf;
use std::process::{self, ExitCode, Stdio};

use penstock_config::Boot;
use penstock_config::haproxy::BindAddress;
use penstock_config::haproxy::grammar::{File, Input};
use penstock_proxy::Proxy;
use penstock_wire::Addr;

use crate::check;
use crate::ground::Ground;
use crate::house::{House, Manners};
use crate::inherited::Given;
use crate::localhost::Link;
use crate::porter::{self, Door};
use crate::report;

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The program and its arguments, to start it again in the background.
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    /// `-f`.
    pub(crate) paths: Vec<PathBuf>,
    /// `-C`: where to go first.
    pub(crate) folder: Option<PathBuf>,
    /// `-p`: where the process writes its number, if it is a daemon or a master.
    pub(crate) pid_file: Option<PathBuf>,
    /// `-D`: the caller goes on as soon as it serves.
    pub(crate) is_daemon: bool,
    /// `conf.lenient=1`: what is not supported yet is left out.
    pub(crate) lenient: bool,
    /// `-W`: it ends as a master process does; there is no other.
    pub(crate) is_master: bool,
}

/// Serves, to the end.
pub(crate) fn run(launch: &Launch) -> ExitCode {
    let is_background = env::var_os(BACKGROUND).is_some();
    let done = match launch.is_daemon && !is_background {
        true => detach(launch),
        false => serve(launch, is_background),
    };
    done.unwrap_or_else(|line| {
        check::alert(&line);
        ExitCode::FAILURE
    })
}

fn serve(launch: &Launch, is_background: bool) -> Result<ExitCode, String> {
    if is_background {
        rustix::process::setsid().map_err(|error| format!("setsid: {error}"))?;
    }
    let Some(house) = start(launch)? else { return Ok(ExitCode::FAILURE) };
    if let Some(path) = launch.pid_file.as_ref().filter(|_| launch.is_daemon || launch.is_master) {
        let written = fs::write(path, format!("{}\n", process::id()));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    report::say(READY);
    Ok(house.run())
}

/// Starts the process again in the background, and waits until it serves.
fn detach(launch: &Launch) -> Result<ExitCode, String> {
    let told = |error: std::io::Error| format!("-D: {error}");
    let program = env::current_exe().unwrap_or_else(|_| (&launch.program).into());
    let mut command = process::Command::new(program);
    command.args(&launch.args).env(BACKGROUND, "1").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(told)?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            if line.map_err(told)? == READY {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    let code = child.wait().map_err(told)?.code();
    Ok(ExitCode::from(code.unwrap_or(1).clamp(1, 255) as u8))
}

/// Starts everything. `None`: the configuration is wrong, which was said.
fn start(launch: &Launch) -> Result<Option<House>, String> {
    let first = |lines: Vec<String>| lines.join("\n");
    if let Some(folder) = &launch.folder {
        env::set_current_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let files = check::read(&launch.paths)?;
    let files: Vec<_> = files.iter().map(|(name, bytes)| File { name, bytes }).collect();
    let environment: Vec<_> = env::vars().collect();
    let link = Link::of_process(process::id());
    let given = Given::default();
    let mut plan = Vec::new();
    let lenient = launch.lenient;
    let (files, environment, delivered) = (&files, &environment, &given);
    // 127.0.0.1 is Linux, as for haproxy.
    let input = Input { files, environment, delivered, lenient, route_localnet: true };
    let read = penstock_proxy::read_as(&input, |proxies| {
        proxies.global.pid = process::id();
        for frontend in &mut proxies.frontends {
            for bind in &mut frontend.binds {
                let inside = SocketAddrV4::new(link.own, free_port(&plan, bind.at.port));
                plan.push((bind.at, inside, !bind.accept_proxy));
                let addr = Addr::v4(link.own.to_bits());
                bind.at = BindAddress { addr, port: inside.port() };
                bind.accept_proxy = true;
            }
        }
    });
    check::say(&read.messages, false);
    let Some(setup) = read.setup else { return Ok(None) };
    let doors = doors(plan, given.into_sockets())?;
    let Boot { mut machine, .. } = Boot::parse(&link.boot_string());
    machine.maxcpus = setup.proxies().global.threads;
    let ground = Ground::open(&machine, std::slice::from_ref(&link.name)).map_err(first)?;
    link.join(ground.station().unwrap_or_default())?;
    let (capacity, cores) = (ground.capacity(), ground.cores());
    let cards = setup.cards(|name| ground.find_card(name)).map_err(first)?;
    let app = |core| Proxy::new(setup, cards, core, cores, &capacity);
    let manners = Manners::haproxy(porter::open(doors).map_err(|error| error.to_string())?);
    ground.settle(&machine, app, manners, None).map(Some).map_err(first)
}

/// A listener of our stack for every listener of the configuration: its own port, if no other has it.
fn free_port(taken: &[(BindAddress, SocketAddrV4, bool)], wanted: u16) -> u16 {
    let is_free = |port: &u16| taken.iter().all(|(_, inside, _)| inside.port() != *port);
    (wanted..=u16::MAX).chain(1..wanted).find(is_free).unwrap_or(wanted)
}

/// Linux's sockets in front of them: those that were inherited, the others are opened now.
fn doors(
    plan: Vec<(BindAddress, SocketAddrV4, bool)>,
    mut inherited: Vec<(BindAddress, TcpListener)>,
) -> Result<Vec<Door>, String> {
    let mut doors = Vec::new();
    for (at, to, announces) in plan {
        let known = inherited.iter().position(|(place, _)| *place == at);
        let listener = match known {
            Some(known) => inherited.swap_remove(known).1,
            None => {
                let BindAddress { addr, port } = at;
                let bound = TcpListener::bind((std::net::IpAddr::from(addr), port));
                bound.map_err(|error| format!("cannot bind socket ({error}) [{addr}:{port}]"))?
            }
        };
        doors.push(Door { listener, to, announces });
    }
    Ok(doors)
}

/// Set for the process in the background.
const BACKGROUND: &str = "PENSTOCK_IN_BACKGROUND";
const READY: &str = "ready";
