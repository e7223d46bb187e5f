//! Names that the delivered `etc/hosts` knows, and `localhost`, which every machine knows. A server's
//! other names are DNS's.

use core::net::IpAddr;

use penstock_wire::Addr;

use super::cx::Cx;
use crate::haproxy::Address;

/// The address of a server's name, or the name.
pub(super) fn resolve(cx: &Cx<'_>, name: &str) -> Address {
    find(cx, name).map_or_else(|| Address::Name(name.into()), Address::Addr)
}

/// The address of a name that must be known before anything runs: a listener's, or a log's.
pub(super) fn find(cx: &Cx<'_>, name: &str) -> Option<Addr> {
    let file = cx.delivered("/etc/hosts").unwrap_or_default();
    let is_this_machine = name.eq_ignore_ascii_case("localhost");
    lookup(&file, name).or_else(|| is_this_machine.then_some(LOCALHOST))
}

const LOCALHOST: Addr = Addr::v4(0x7f00_0001);

/// The first address of a name in such a file (`hosts(5)`): IPv4 if there is one.
fn lookup(file: &[u8], name: &str) -> Option<Addr> {
    let text = core::str::from_utf8(file).ok()?;
    let of_line = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let addr: IpAddr = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(addr)
    };
    let all = || text.lines().filter_map(of_line);
    let found = all().find(IpAddr::is_ipv4).or_else(|| all().next())?;
    Some(match found {
        IpAddr::V4(addr) => Addr::v4(addr.to_bits()),
        IpAddr::V6(addr) => Addr::v6(addr.octets()),
    })
}

#[cfg(test)]
mod tests {
    //! A hosts file is read as Linux reads it.

    use super::*;

    #[test]
    fn names() {
        let file = b"::1 web\n10.0.0.3 db web # the others\nnonsense db\n# 10.0.0.9 x\n";
        assert_eq!(lookup(file, "WEB"), Some(Addr::v4(0x0a00_0003)));
        assert_eq!(lookup(file, "db"), Some(Addr::v4(0x0a00_0003)));
        assert_eq!((lookup(file, "x"), lookup(b"\xff", "x")), (None, None));
    }
}
