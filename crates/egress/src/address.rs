//! Which addresses guests may reach, by the registries of special addresses (RFC 6890 and those after it). An IPv6 address that
//! carries an IPv4 one is as reachable as that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The internet.
    Public,
    /// This host.
    Loopback,
    /// A network around this host, or its metadata: only for an origin that names the very address.
    Near,
    /// Nobody in particular: never.
    Never,
}

pub(crate) fn class(ip: IpAddr) -> Class {
    match ip {
        IpAddr::V4(ip) => v4(ip),
        IpAddr::V6(ip) => v6(ip),
    }
}

fn v4(ip: Ipv4Addr) -> Class {
    match ip.octets() {
        [127, ..] => Class::Loopback,
        // "This network": Linux takes 0.0.0.0 for itself. Multicast; reserved, with broadcast.
        [0, ..] | [224..=255, ..] => Class::Never,
        // Private (RFC 1918), shared by a carrier (RFC 6598, metadata of some clouds too), link-local (metadata of most clouds).
        [10, ..] | [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Near,
        // Protocol assignments; old relays of 6to4; benchmarks of networks; documentation.
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => Class::Near,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Near,
        _ => Class::Public,
    }
}

fn v6(ip: Ipv6Addr) -> Class {
    let carried = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Never,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        // IPv4-mapped: the system connects to the IPv4 address.
        [0, 0, 0, 0, 0, 0xffff, high, low] => carried(high, low),
        // IPv4-compatible and IPv4-translated, long out of use.
        [0, 0, 0, 0, ..] => Class::Never,
        // NAT64, and 6to4: what they lead to.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low),
        [0x2002, high, low, ..] => carried(high, low),
        // NAT64 of a site; discard; Teredo and other protocol assignments; documentation.
        [0x64, 0xff9b, ..] | [0x100, ..] | [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] => Class::Near,
        [0x3fff, 0..=0xfff, ..] | [0x5f00, ..] => Class::Near,
        // Unique local (metadata of some clouds), link-local, site-local.
        [0xfc00..=0xfdff, ..] | [0xfe80..=0xfeff, ..] => Class::Near,
        [0xff00..=0xffff, ..] => Class::Never,
        _ => Class::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_has_its_class() {
        use Class::{Loopback, Near, Never, Public};
        for (ip, expected) in [
            ("1.1.1.1", Public),
            ("9.255.255.255", Public),
            ("10.0.0.1", Near),
            ("11.0.0.0", Public),
            ("100.63.255.255", Public),
            ("100.64.0.0", Near),
            ("100.100.100.200", Near),
            ("100.128.0.0", Public),
            ("126.255.255.255", Public),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("0.0.0.0", Never),
            ("0.1.2.3", Never),
            ("169.254.169.254", Near),
            ("169.253.0.0", Public),
            ("172.15.255.255", Public),
            ("172.16.0.1", Near),
            ("172.31.255.255", Near),
            ("172.32.0.0", Public),
            ("192.0.0.192", Near),
            ("192.0.2.1", Near),
            ("192.88.99.1", Near),
            ("192.168.1.1", Near),
            ("192.169.0.0", Public),
            ("198.17.255.255", Public),
            ("198.18.0.1", Near),
            ("198.19.255.255", Near),
            ("198.51.100.7", Near),
            ("203.0.113.9", Near),
            ("223.255.255.255", Public),
            ("224.0.0.1", Never),
            ("240.0.0.1", Never),
            ("255.255.255.255", Never),
            ("::", Never),
            ("::1", Loopback),
            ("::2", Never),
            ("::127.0.0.1", Never),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:10.0.0.1", Near),
            ("::ffff:8.8.8.8", Public),
            ("::ffff:0.0.0.0", Never),
            ("64:ff9b::a9fe:a9fe", Near),
            ("64:ff9b::808:808", Public),
            ("64:ff9b:1::1", Near),
            ("100::1", Near),
            ("2001::1", Near),
            ("2001:db8::1", Near),
            ("2001:4860:4860::8888", Public),
            ("2002:7f00:1::1", Loopback),
            ("2002:a00:1::", Near),
            ("2606:4700::1111", Public),
            ("fc00::1", Near),
            ("fd00:ec2::254", Near),
            ("fe80::1", Near),
            ("fec0::1", Near),
            ("ff02::1", Never),
        ] {
            assert_eq!(class(ip.parse().unwrap()), expected, "{ip}");
        }
    }
}
