//! The machine keys, and what they set.
//!
//! A key is a name and a function from its value. A value that is refused says what was expected;
//! one that is understood and has no effect says why. A key given twice: the last one counts, as in
//! Linux, except for those that add to a list (`ip=`, `gateway=`, `nic=`).

use alloc::vec::Vec;
use core::fmt;

use penstock_fault::{Faults, Steer};
use penstock_stack::{Capacity, Tcp, rfd};
use penstock_wire::Addr;

use crate::error::Error;
use crate::ip::{self, Autoconf, Ip};
use crate::log::Log;
use crate::{fault, sysctl};

/// What was said of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// `ip=`, one for each address and device. Empty: `ip=dhcp`.
    pub ips: Vec<Ip>,
    /// `gateway=`, at most one for each family.
    pub gateways: Vec<Addr>,
    /// `log=`: where lines go beside the console.
    pub log: Option<Log>,
    /// `maxcpus=`: the most cores that work. `None`: all there are.
    pub maxcpus: Option<u16>,
    /// `console=`. `None`: wherever this kind of machine writes.
    pub console: Option<Console>,
    /// `loglevel=`: what is less urgent than this is not printed (Linux: 0 to 7).
    pub loglevel: u8,
    /// `panic=`: seconds from a panic to the end; 0 waits for ever, below 0 there is no wait.
    pub panic_seconds: i32,
    /// `exit=`: how the machine ends.
    pub exit: Exit,
    /// `idle=`: what a core without work does.
    pub idle: Idle,
    /// `nic=`: the cards to use. Empty: all there are.
    pub nics: Vec<PciAddress>,
    /// `nic.driver=`. `None`: what fits the card.
    pub driver: Option<Driver>,
    /// `nic.queues=`: queue pairs of each card. `None`: one for each core.
    pub queues: Option<u16>,
    /// `rfd=`: the card is asked to bring replies to the core that waits for them.
    pub rfd: bool,
    /// `fault=`: a worse network than the one that is there.
    pub faults: Faults,
    /// `steer=`: a worse card than the one that is there.
    pub steer: Steer,
    /// `sysctl.net.ipv4.ip_local_port_range=`: ports of active connections, first and last.
    pub ephemeral_ports: (u16, u16),
    /// `sysctl.net.ipv4.*=`: knobs of TCP.
    pub tcp: Tcp,
    /// `sysctl.net.ipv4.*=`: bounds of each core.
    pub capacity: Capacity,
    /// `conf.lenient=`: what a configuration has that is not supported yet is left out.
    pub lenient: bool,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine {
            ips: Vec::new(),
            gateways: Vec::new(),
            log: None,
            maxcpus: None,
            console: None,
            loglevel: LOGLEVEL_DEFAULT,
            panic_seconds: PANIC_SECONDS_DEFAULT,
            exit: Exit::Acpi,
            idle: Idle::Halt,
            nics: Vec::new(),
            driver: None,
            queues: None,
            rfd: true,
            faults: Faults::NONE,
            steer: Steer::Card,
            ephemeral_ports: EPHEMERAL_PORTS_DEFAULT,
            tcp: Tcp::default(),
            capacity: Capacity::default(),
            lenient: false,
        }
    }
}

/// `console=ttyS0,115200n8`: a serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Console {
    /// 0 is `ttyS0`.
    pub port: u8,
    /// Bits a second, a divisor of 115,200.
    pub baud: u32,
}

/// `exit=`: how the machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It powers off.
    Acpi,
    /// It starts again.
    Reboot,
    /// QEMU's isa-debug-exit: the process ends with a code.
    Debug,
}

/// `idle=`: what a core without work does (Linux: `idle=poll`, `idle=halt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// It halts until something happens.
    Halt,
    /// It looks for work without pause.
    Poll,
}

/// `nic.driver=`: which driver takes the cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The 82599's physical function.
    Ixgbe,
    /// The 82599's virtual function.
    Ixgbevf,
    /// virtio-net.
    Virtio,
}

/// `nic=0000:01:00.0`: a PCI function, in hexadecimal. Without its first part the segment is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciAddress {
    /// Segment group.
    pub segment: u16,
    /// Bus.
    pub bus: u8,
    /// Device, 0 to 31.
    pub device: u8,
    /// Function, 0 to 7.
    pub function: u8,
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PciAddress { segment, bus, device, function } = self;
        write!(f, "{segment:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

/// What a value did: nothing to say, a notice that it has no effect, or what was expected.
pub(crate) type Outcome = Result<Option<&'static str>, &'static str>;

/// A key's name and what its value sets.
pub(crate) type Key = (&'static str, fn(&mut Machine, &str) -> Outcome);

/// Every key there is.
pub(crate) fn keys() -> impl Iterator<Item = Key> {
    KEYS.iter().chain(sysctl::KEYS).copied()
}

const KEYS: &[Key] = &[
    ("ip", |machine, value| ip::set(&mut machine.ips, value)),
    ("gateway", gateway),
    ("log", |machine, value| {
        machine.log = Some(Log::parse(value)?);
        DONE
    }),
    ("maxcpus", |machine, value| {
        let cores = number(value, 1, rfd::CORES_MAX as u32, "a number from 1 to 128")?;
        machine.maxcpus = Some(cores as u16);
        DONE
    }),
    ("console", console),
    ("loglevel", |machine, value| {
        machine.loglevel = number(value, 0, 7, "a number from 0 to 7")? as u8;
        DONE
    }),
    ("panic", |machine, value| {
        let expected = "seconds, 0 to wait for ever, or a negative number to restart at once";
        machine.panic_seconds = value.parse().map_err(|_| expected)?;
        DONE
    }),
    ("exit", |machine, value| {
        let choices = [("acpi", Exit::Acpi), ("reboot", Exit::Reboot), ("debug", Exit::Debug)];
        machine.exit = choice(value, &choices, "acpi, reboot or debug")?;
        DONE
    }),
    ("idle", |machine, value| {
        machine.idle =
            choice(value, &[("halt", Idle::Halt), ("poll", Idle::Poll)], "halt or poll")?;
        DONE
    }),
    // Obeyed by the kernel, which has read it before; a process has no such watch.
    ("watchdog", |_, value| {
        number(value, 0, 86_400, "0 to 86400 seconds")?;
        DONE
    }),
    ("nic", |machine, value| {
        machine.nics.push(pci_address(value).ok_or("a PCI address such as 0000:01:00.0")?);
        DONE
    }),
    ("nic.driver", |machine, value| {
        let choices =
            [("ixgbe", Driver::Ixgbe), ("ixgbevf", Driver::Ixgbevf), ("virtio", Driver::Virtio)];
        machine.driver = Some(choice(value, &choices, "ixgbe, ixgbevf or virtio")?);
        DONE
    }),
    ("nic.queues", |machine, value| {
        let expected = "auto, or a number from 1 to 128";
        machine.queues = match value {
            "auto" => None,
            _ => Some(number(value, 1, rfd::CORES_MAX as u32, expected)? as u16),
        };
        DONE
    }),
    ("rfd", |machine, value| {
        machine.rfd = choice(value, &[("on", true), ("off", false)], "on or off")?;
        DONE
    }),
    ("conf.lenient", |machine, value| {
        machine.lenient = choice(value, &[("0", false), ("1", true)], "0 or 1")?;
        DONE
    }),
    ("fault", |machine, value| {
        machine.faults = fault::parse(value)?;
        DONE
    }),
    ("steer", |machine, value| {
        let choices = [("card", Steer::Card), ("scramble", Steer::Scramble)];
        machine.steer = choice(value, &choices, "card or scramble")?;
        DONE
    }),
];

/// Set, and nothing to say of it.
pub(crate) const DONE: Outcome = Ok(None);

impl Machine {
    /// What can only be judged when all is read.
    pub(crate) fn check(&self, errors: &mut Vec<Error>) {
        for gateway in &self.gateways {
            let finds_out = |ip: &Ip| ip.autoconf != Autoconf::Off;
            let may_be_on_link = self.ips.is_empty()
                || self.ips.iter().any(|ip| finds_out(ip) || ip.is_on_link(*gateway));
            if !gateway.is_link_local_v6() && !may_be_on_link {
                let value = alloc::format!("{gateway}");
                errors.push(Error::value("gateway", &value, "an address in the network of an ip="));
            }
        }
    }
}

fn gateway(machine: &mut Machine, value: &str) -> Outcome {
    let gateway = ip::addr(value).ok_or("an address such as 10.0.0.1 or fd00::1")?;
    machine.gateways.retain(|known| known.is_v4() != gateway.is_v4());
    machine.gateways.push(gateway);
    DONE
}

/// Linux's `console=ttyS<port>[,<baud>[n8]]`; parity and word length are fixed.
fn console(machine: &mut Machine, value: &str) -> Outcome {
    let expected = "ttyS0 to ttyS3 and a speed of up to 115200, such as ttyS0,115200n8";
    let (port, speed) = value.split_once(',').unwrap_or((value, "115200"));
    let port = port.strip_prefix("ttyS").ok_or(expected)?;
    let port = number(port, 0, 3, expected)? as u8;
    let digits = speed.strip_suffix("n8").or(speed.strip_suffix('n')).unwrap_or(speed);
    let baud = number(digits, 300, BAUD_MAX, expected)?;
    if !BAUD_MAX.is_multiple_of(baud) {
        return Err(expected);
    }
    machine.console = Some(Console { port, baud });
    DONE
}

fn pci_address(value: &str) -> Option<PciAddress> {
    let hexadecimal = |text: &str, digits: usize| {
        let valid =
            (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| u16::from_str_radix(text, 16).ok()).flatten()
    };
    let (rest, function) = value.split_once('.')?;
    let (rest, device) = rest.rsplit_once(':')?;
    let (segment, bus) = rest.split_once(':').unwrap_or(("0", rest));
    let device = hexadecimal(device, 2).filter(|&device| device < 32)? as u8;
    let function = hexadecimal(function, 1).filter(|&function| function < 8)? as u8;
    let (segment, bus) = (hexadecimal(segment, 4)?, hexadecimal(bus, 2)? as u8);
    Some(PciAddress { segment, bus, device, function })
}

/// A decimal number of digits alone, within bounds.
pub(crate) fn number(
    value: &str,
    least: u32,
    most: u32,
    expected: &'static str,
) -> Result<u32, &'static str> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { value.parse().ok() } else { None };
    number.filter(|number| (least..=most).contains(number)).ok_or(expected)
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(
    value: &str,
    choices: &[(&str, T)],
    expected: &'static str,
) -> Result<T, &'static str> {
    choices.iter().find(|(name, _)| *name == value).map(|&(_, choice)| choice).ok_or(expected)
}

const LOGLEVEL_DEFAULT: u8 = 7;
const PANIC_SECONDS_DEFAULT: i32 = 10;
const BAUD_MAX: u32 = 115_200;
/// The upper half: one bit tells ([`rfd::PortRange::DEFAULT`]).
const EPHEMERAL_PORTS_DEFAULT: (u16, u16) = (32_768, 65_535);

#[cfg(test)]
mod tests {
    //! Each key sets what it says, and refuses what nobody can have meant.

    use super::*;
    use crate::Boot;
    use std::string::ToString;

    fn good(text: &str) -> Machine {
        let boot = Boot::parse(text);
        assert_eq!(boot.errors, [], "{text}");
        boot.machine
    }

    fn bad(text: &str) {
        assert_eq!(Boot::parse(text).errors.len(), 1, "{text}");
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(good(""), Machine::default());
    }

    #[test]
    fn every_key_is_documented() {
        let document = include_str!("../../../docs/boot.md");
        for (name, _) in keys() {
            let name = name.strip_prefix("sysctl.net.ipv4.").unwrap_or(name);
            let spelled = [alloc::format!("`{name}=`"), alloc::format!("{name}`")];
            assert!(spelled.iter().any(|text| document.contains(text.as_str())), "{name}");
        }
    }

    #[test]
    fn cores_and_logs() {
        let machine = good("maxcpus=2 loglevel=4 panic=-1 exit=debug idle=poll maxcpus=4");
        assert_eq!((machine.maxcpus, machine.loglevel), (Some(4), 4));
        assert_eq!((machine.panic_seconds, machine.exit), (-1, Exit::Debug));
        assert_eq!(machine.idle, Idle::Poll);
        assert_eq!(good("watchdog=0"), Machine::default());
        bad("watchdog=-1");
        for text in ["maxcpus=0", "maxcpus=129", "maxcpus=+1", "maxcpus=", "maxcpus", "maxcpus=1x"]
        {
            bad(text);
        }
        for text in ["loglevel=8", "panic=soon", "exit=now", "idle=", "rfd=yes", "steer=well"] {
            bad(text);
        }
    }

    #[test]
    fn consoles() {
        let console = |text| good(text).console;
        assert_eq!(console("console=ttyS0"), Some(Console { port: 0, baud: 115_200 }));
        assert_eq!(console("console=ttyS3,9600n8"), Some(Console { port: 3, baud: 9_600 }));
        assert_eq!(console("console=ttyS1,115200n"), Some(Console { port: 1, baud: 115_200 }));
        for text in ["tty0", "ttyS4", "ttyS", "ttyS0,", "ttyS0,0", "ttyS0,1234", "ttyS0,115200e7"] {
            bad(&alloc::format!("console={text}"));
        }
    }

    #[test]
    fn cards() {
        let machine = good("nic=01:00.0 nic=0001:a0:1f.7 nic.driver=ixgbe nic.queues=2 rfd=off");
        let names: Vec<_> = machine.nics.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["0000:01:00.0", "0001:a0:1f.7"]);
        assert_eq!((machine.driver, machine.queues), (Some(Driver::Ixgbe), Some(2)));
        assert!(!machine.rfd);
        assert_eq!(good("nic.queues=2 nic.queues=auto").queues, None);
        for text in ["01:00", "01:20.0", "01:00.8", "100:00.0", ":00.0", "01:00.0.0", "0:0:1:00.0"]
        {
            bad(&alloc::format!("nic={text}"));
        }
    }

    #[test]
    fn gateways() {
        let text = "ip=10.0.0.2/24 ip=fd00::2/64 gateway=10.0.0.9 gateway=fd00::1 gateway=10.0.0.1";
        let shown: Vec<_> = good(text).gateways.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["fd00::1", "10.0.0.1"]);
        let boot = Boot::parse("ip=10.0.0.2/24 gateway=10.0.1.1");
        let expected = "gateway=10.0.1.1: expected an address in the network of an ip=";
        assert_eq!(boot.errors[0].to_string(), expected);
        bad("gateway=10.0.0.1/24");
        bad("gateway=");
    }
}
