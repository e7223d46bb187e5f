//! Names of servers that the delivered `etc/hosts` knows; the others are DNS's.

use core::net::IpAddr;

use penstock_wire::Addr;

use super::cx::Cx;
use crate::haproxy::Address;

/// The address of a name, or the name.
pub(super) fn resolve(cx: &Cx<'_>, name: &str) -> Address {
    let file = cx.delivered("/etc/hosts").unwrap_or_default();
    match lookup(&file, name) {
        Some(addr) => Address::Addr(addr),
        None => Address::Name(name.into()),
    }
}

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
