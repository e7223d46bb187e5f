//! The command line, in the manner of vhost-user programs and of QEMU's own options.

use penstock_nic82599::{FaultScript, FaultSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
An emulated Intel 82599 (10 GbE, 8086:10fb) for QEMU's vfio-user-pci.

usage: penstock-nic82599 --socket-path=PATH [options]

  --socket-path=PATH   listen on this unix socket
  --fd=NUMBER          or on this inherited listening socket
  --mac=ADDRESS        factory address (default 52:00:00:00:00:01)
  --netdev=WIRE        what the port is plugged into (default none):
      tap,ifname=NAME[,queues=N]     a Linux TAP device
      stream,path=PATH[,server=on]   a unix socket in QEMU's framing (passt, -netdev stream);
                                     with server=on the end that listens, for one peer at a time
      none                           nothing; the link is up
  --fault=LIST         what goes wrong, separated by commas:
      of the wire, both ways: loss=1%, duplicate=1%, corrupt=1%, reorder=1%, delay=5ms, jitter=1ms,
      rate=100mbit
      of the card: module-absent, no-light, flap=2s, bad-eeprom-checksum, stuck-master-disable,
      tx-hang, fdir-full, lost-interrupt=EVERY, dma-fault=EVERY, late-write-back=50us
  --fault-script=FILE  the same by time since the client came, a line like \"10s no-light loss=off\"
                       each; \"20s none\" mends everything, \"30s repeat\" starts again
  --fault-pipe=PATH    the same by lines from a named pipe, each in force at once; the first ends the
                       script
  --seed=NUMBER        what chance the faults of the wire have (default 1)
  --pcap=FILE          record every frame that passes the port
  --pcap-ring=BYTES    or the last of them: a file of so many becomes FILE.1, and a new one begins
  --mmap-doorbells     the guest maps the queue registers and is looked after by polling: for speed,
                       not for judging drivers (their counters read zero)
  --strict             stop at the first access to an offset that is no register
  --once               stop when the client leaves (default: wait for the next)
  --help, --version

QEMU must share its memory (memory-backend-memfd, share=on) and be 10.1 or later:

  -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"PATH\"}}'
";

/// What to do.
pub(crate) enum Command {
    Help,
    Version,
    Run(Box<Options>),
}

/// How to run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) socket: Socket,
    pub(crate) mac: [u8; 6],
    pub(crate) netdev: Netdev,
    pub(crate) script: FaultScript,
    pub(crate) fault_pipe: Option<PathBuf>,
    pub(crate) seed: u64,
    pub(crate) pcap: Option<PathBuf>,
    pub(crate) pcap_ring: Option<u64>,
    pub(crate) mmap_doorbells: bool,
    pub(crate) strict: bool,
    pub(crate) once: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    Path(PathBuf),
    Descriptor(i32),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Netdev {
    None,
    Tap { name: String, queues: u16 },
    Stream { path: PathBuf, server: bool },
}

/// Reads the command line; the error is one line for a person.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let (mut socket, mut script, mut faults) = (None, None, FaultSet::default());
    let mut options = Options {
        socket: Socket::Descriptor(-1),
        mac: [0x52, 0, 0, 0, 0, 1],
        netdev: Netdev::None,
        script: FaultScript::default(),
        fault_pipe: None,
        seed: 1,
        pcap: None,
        pcap_ring: None,
        mmap_doorbells: false,
        strict: false,
        once: false,
    };
    let text = |parser: &mut lexopt::Parser| -> Result<String, String> {
        let value = parser.value().map_err(|error| error.to_string())?;
        value.into_string().map_err(|value| format!("{} is not text", value.display()))
    };
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        use lexopt::Arg::{Long, Short};
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Long("socket-path") => socket = Some(Socket::Path(text(&mut parser)?.into())),
            Long("fd") => {
                let number = text(&mut parser)?;
                socket =
                    Some(Socket::Descriptor(number.parse().ok().filter(|&fd| fd >= 0).ok_or(
                        format!("--fd={number}: expected the number of a listening socket"),
                    )?));
            }
            Long("mac") => options.mac = mac(&text(&mut parser)?)?,
            Long("netdev") => options.netdev = netdev(&text(&mut parser)?)?,
            Long("fault") => {
                let list = text(&mut parser)?;
                for word in list.split(',') {
                    faults.change(word).map_err(|error| format!("--fault={list}: {error}"))?;
                }
            }
            Long("fault-script") => script = Some(PathBuf::from(text(&mut parser)?)),
            Long("fault-pipe") => options.fault_pipe = Some(text(&mut parser)?.into()),
            Long("seed") => {
                let number = text(&mut parser)?;
                options.seed =
                    number.parse().map_err(|_| format!("--seed={number}: expected a number"))?;
            }
            Long("pcap") => options.pcap = Some(text(&mut parser)?.into()),
            Long("pcap-ring") => {
                let bytes = text(&mut parser)?;
                let number = bytes.parse().ok().filter(|&bytes| bytes > 0);
                options.pcap_ring =
                    Some(number.ok_or(format!("--pcap-ring={bytes}: expected a number of bytes"))?);
            }
            Long("mmap-doorbells") => options.mmap_doorbells = true,
            Long("strict") => options.strict = true,
            Long("once") => options.once = true,
            other => return Err(format!("{}; see --help", other.unexpected())),
        }
    }
    options.script = match script {
        None => FaultScript::constant(faults),
        Some(path) => read_script(faults, &path)
            .map_err(|error| format!("--fault-script={}: {error}", path.display()))?,
    };
    options.socket = socket.ok_or("say --socket-path=PATH (or --fd=NUMBER); see --help")?;
    Ok(Command::Run(Box::new(options)))
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    let wrong = || format!("--mac={text}: expected a unicast address like 52:00:00:00:00:01");
    let bytes: Vec<u8> = text
        .split(':')
        .map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() == 2))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let mac: [u8; 6] = bytes.try_into().map_err(|_| wrong())?;
    if mac[0] & 1 != 0 || mac == [0; 6] { Err(wrong()) } else { Ok(mac) }
}

fn netdev(text: &str) -> Result<Netdev, String> {
    let mut words = text.split(',');
    let kind = words.next().unwrap_or_default();
    let pairs: Vec<(&str, &str)> = words.map(pair).collect();
    let find = |key| pairs.iter().rev().find(|pair| pair.0 == key).map(|pair| pair.1);
    let known: &[&str] = match kind {
        "none" => &[],
        "tap" => &["ifname", "queues"],
        "stream" => &["path", "server"],
        _ => return Err(format!("--netdev={text}: expected tap, stream or none")),
    };
    if let Some((key, _)) = pairs.iter().find(|pair| !known.contains(&pair.0)) {
        return Err(format!("--netdev={text}: {kind} has no {key}; it has {}", known.join(", ")));
    }
    match kind {
        "tap" => {
            let name = find("ifname").filter(|name| (1..16).contains(&name.len()));
            let queues = find("queues").unwrap_or("1").parse().ok();
            let queues = queues.filter(|queues| (1..=QUEUES_MAX).contains(queues));
            Ok(Netdev::Tap {
                name: name.ok_or(format!("--netdev={text}: expected ifname=NAME"))?.into(),
                queues: queues
                    .ok_or(format!("--netdev={text}: expected queues=1 to {QUEUES_MAX}"))?,
            })
        }
        "stream" => Ok(Netdev::Stream {
            path: find("path").ok_or(format!("--netdev={text}: expected path=PATH"))?.into(),
            server: match find("server") {
                None | Some("off") => false,
                Some("on") => true,
                Some(_) => {
                    return Err(format!("--netdev={text}: expected server=on or server=off"));
                }
            },
        }),
        _ => Ok(Netdev::None),
    }
}

fn read_script(start: FaultSet, path: &Path) -> Result<FaultScript, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    FaultScript::parse(start, &text)
}

fn pair(word: &str) -> (&str, &str) {
    word.split_once('=').unwrap_or((word, ""))
}

/// Queues of a TAP device, Linux's own limit.
const QUEUES_MAX: u16 = 256;

#[cfg(test)]
mod tests {
    //! Proves what each option becomes and that a wrong one is named with what was expected.
    use super::*;

    fn run(words: &[&str]) -> Result<Options, String> {
        let words = ["penstock-nic82599"].iter().chain(words).map(OsString::from);
        match parse(words)? {
            Command::Run(options) => Ok(*options),
            Command::Help | Command::Version => Err("help".into()),
        }
    }

    #[test]
    fn options_become_values() {
        let options = run(&[
            "--socket-path=/run/nic",
            "--mac",
            "52:54:00:ab:cd:ef",
            "--netdev=tap,ifname=dut0,queues=4",
            "--fault=loss=1%,delay=5ms,rate=100mbit",
            "--fault=no-light,flap=2s,late-write-back=50us",
            "--seed=9",
            "--strict",
        ])
        .expect("valid");
        assert_eq!(options.socket, Socket::Path("/run/nic".into()));
        assert_eq!(options.mac, [0x52, 0x54, 0, 0xAB, 0xCD, 0xEF]);
        assert_eq!(options.netdev, Netdev::Tap { name: "dut0".into(), queues: 4 });
        let faults = options.script.at(0);
        assert_eq!((faults.wire.loss_ppm, faults.wire.delay_us), (10_000, 5000));
        assert_eq!((faults.card.flap_us, options.seed, options.strict), (2_000_000, 9, true));
        assert!(faults.card.no_light);
        let stream = run(&["--fd=3", "--netdev=stream,path=/x,server=on"]).expect("valid");
        assert_eq!(stream.netdev, Netdev::Stream { path: "/x".into(), server: true });
    }

    #[test]
    fn wrong_options_are_named() {
        for (words, part) in [
            (&["--mac=zz"][..], "--mac=zz: expected"),
            (&["--mac=01:00:00:00:00:00"], "unicast"),
            (&["--netdev=user"], "expected tap, stream or none"),
            (&["--netdev=tap"], "ifname=NAME"),
            (&["--netdev=tap,ifname=a,queues=0"], "queues=1 to"),
            (&["--netdev=tap,iface=a"], "no iface"),
            (&["--fault=lost=1%"], "--fault=lost=1%: lost=1%: no fault is called lost"),
            (&["--fault=loss=1%,delay=5"], "delay=5: expected delay=TIME"),
            (&["--fault-script=/no/such/file"], "--fault-script=/no/such/file: "),
            (&["--pcap-ring=0"], "--pcap-ring=0: expected a number of bytes"),
            (&["--seed=x"], "--seed=x: expected a number"),
            (&["--fd=-1"], "listening socket"),
            (&["--wrong"], "--wrong"),
            (&[], "--socket-path"),
        ] {
            let message = run(words).expect_err("wrong");
            assert!(message.contains(part), "{words:?}: {message}");
            assert_eq!(message.lines().count(), 1);
        }
    }
}
