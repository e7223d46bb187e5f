//! Opens what the port is plugged into, with its faults and its recorder.

use crate::arguments::{Netdev, Options};
use crate::machine::{Plug, Port};
use crate::pcap::Recorded;
use crate::stream::Stream;
use crate::tap::Tap;
use penstock_nic82599::{Faulty, Unplugged, WireFaults};
use std::io;
use std::os::fd::OwnedFd;

/// The port, and the descriptors that become readable when a frame has come.
pub(crate) fn open(options: &Options) -> Result<(Port, Vec<OwnedFd>), String> {
    let (plug, watched) = plug(&options.netdev)?;
    // What goes wrong is the script's to say, from its first moment on.
    let faulty = Faulty::new(plug, WireFaults::default(), options.seed);
    let port = match &options.pcap {
        None => Recorded::off(faulty),
        Some(path) => Recorded::new(faulty, path, options.pcap_ring)
            .map_err(|error| format!("--pcap={}: {error}", path.display()))?,
    };
    Ok((port, watched))
}

fn plug(netdev: &Netdev) -> Result<(Plug, Vec<OwnedFd>), String> {
    let opened: io::Result<(Plug, Vec<OwnedFd>)> = match netdev {
        Netdev::None => Ok((Box::new(Unplugged) as Plug, Vec::new())),
        Netdev::Tap { name, queues } => Tap::open(name, *queues)
            .and_then(|tap| Ok((tap.watched()?, tap)))
            .map(|(watched, tap)| (Box::new(tap) as Plug, watched)),
        Netdev::Stream { path, server } => {
            if *server { Stream::listen(path) } else { Stream::connect(path) }
                .and_then(|stream| Ok((stream.watched()?, stream)))
                .map(|(watched, stream)| (Box::new(stream) as Plug, vec![watched]))
        }
    };
    opened.map_err(|error| match netdev {
        Netdev::None => error.to_string(),
        Netdev::Tap { name, .. } => format!("tap {name}: {error}"),
        Netdev::Stream { path, .. } => format!("{}: {error}", path.display()),
    })
}
