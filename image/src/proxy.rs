//! Where the proxy's configuration comes from.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use penstock_config::Machine;
use penstock_config::haproxy::Delivery;
use penstock_config::haproxy::grammar::{File, Input, Message, Severity};
use penstock_kernel::log::{self, Level};
use penstock_kernel::{info, machine};
use penstock_proxy::Setup;

/// The files that a machine was given, out of their archives: what comes later counts.
///
/// # Errors
/// A line for each that is none.
pub(crate) fn delivered(files: &[machine::File]) -> (Delivery<'static>, Vec<String>) {
    let mut delivery = Delivery::default();
    let add = |&machine::File { name, bytes }| delivery.add(name, bytes).err();
    let errors = files.iter().filter_map(add).collect();
    delivery.lines().iter().for_each(|line| info!("{line}"));
    (delivery, errors)
}

/// Reads the configuration, which stands in the boot string or among the files, and says what there
/// is to say about it.
///
/// # Errors
/// What is wrong, a line for each.
pub(crate) fn setup(
    words: &[String],
    delivered: &Delivery<'_>,
    environment: &[(String, String)],
    machine: &Machine,
) -> Result<&'static Setup, Vec<String>> {
    let inline = penstock_proxy::inline(words);
    let file = match words {
        [] => delivered.configuration(),
        _ => Some(File { name: "boot string", bytes: inline.as_bytes() }),
    };
    let file = file.ok_or_else(|| {
        let expected = "proxy: expected a configuration: a file (-initrd haproxy.cfg), or -- proxy";
        Vec::from([expected.to_string()])
    })?;
    let (lenient, route_localnet) = (machine.lenient, machine.tcp.route_localnet);
    let files = &[file];
    let input = Input { files, environment, delivered, lenient, route_localnet };
    let read = penstock_proxy::read(&input);
    // HAProxy's line without what precedes its first colon: how grave it is, the console says itself.
    let line = |message: &Message| {
        let line = message.line(PID).to_string();
        line.split_once(" : ").map_or(line.as_str(), |(_, said)| said).to_string()
    };
    let Some(setup) = read.setup else { return Err(read.messages.iter().map(line).collect()) };
    for message in &read.messages {
        let level = match message.severity {
            Severity::Notice => Level::Notice,
            Severity::Warning => Level::Warning,
            Severity::Alert => Level::Error,
        };
        log::line(level, format_args!("{}", line(message)));
    }
    Ok(setup)
}

/// An appliance is one process.
const PID: u32 = 1;
