//! Opens what the port is plugged into, with its faults and its recorder.

use crate::arguments::{Netdev, Options};
use crate::machine::Port;
use crate::pcap::Recorded;
use crate::stream::Stream;
use crate::tap::Tap;
use penstock_nic82599::{Faulty, Unplugged, WireFaults};
use std::io;
use std::os::fd::OwnedFd;

/// The port, and the descriptors that become readable when a frame has come.
pub(crate) fn open(options: &Options) -> Result<(Port, Vec<OwnedFd>), String> {
    let (mut port, watched) = plug(&options.netdev)?;
    if options.wire_faults != WireFaults::default() {
        port = Box::new(Faulty::new(port, options.wire_faults, options.seed));
    }
    if let Some(path) = &options.pcap {
        let recorded = Recorded::new(port, path)
            .map_err(|error| format!("--pcap={}: {error}", path.display()))?;
        port = Box::new(recorded);
    }
    Ok((port, watched))
}

fn plug(netdev: &Netdev) -> Result<(Port, Vec<OwnedFd>), String> {
    let opened: io::Result<(Port, Vec<OwnedFd>)> = match netdev {
        Netdev::None => Ok((Box::new(Unplugged) as Port, Vec::new())),
        Netdev::Tap { name, queues } => Tap::open(name, *queues)
            .and_then(|tap| Ok((tap.watched()?, tap)))
            .map(|(watched, tap)| (Box::new(tap) as Port, watched)),
        Netdev::Stream { path, server } => {
            if *server { Stream::listen(path) } else { Stream::connect(path) }
                .and_then(|stream| Ok((stream.watched()?, stream)))
                .map(|(watched, stream)| (Box::new(stream) as Port, vec![watched]))
        }
    };
    opened.map_err(|error| match netdev {
        Netdev::None => error.to_string(),
        Netdev::Tap { name, .. } => format!("tap {name}: {error}"),
        Netdev::Stream { path, .. } => format!("{}: {error}", path.display()),
    })
}
