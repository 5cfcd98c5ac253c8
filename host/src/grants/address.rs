//! Which IP addresses are public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is in the public internet.
///
/// IPv4: all but IANA's special-purpose addresses: loopback, private (RFC 1918), link-local (used for cloud metadata),
/// carrier-grade NAT (RFC 6598), documentation, benchmarking, multicast, reserved. IPv6: the global unicast range without
/// its special-purpose addresses, and the forms that contain a public IPv4 address (mapped, NAT64, 6to4).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let denied = address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99) // 6to4's relays.
        || (a == 198 && (b == 18 || b == 19));
    !denied
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low), // Mapped.
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low), // NAT64, RFC 6052.
        [0x2002, high, low, ..] => v4(high, low),            // 6to4.
        // Protocol assignments, Teredo and ORCHID among them.
        [0x2001, 0..=0x01ff, ..] => false,
        // Documentation.
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // Global unicast.
        [first, ..] => (first & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, public: bool) {
        assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
    }

    #[test]
    fn private_addresses_are_not_reached_in_any_spelling() {
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "64:ff9b:1::1",
            "64:ff9b:1::909:909",
            "64:ff9b::7f00:1",
            "64:ff9b:0:0:0:1:909:909",
            "::ffff:0:10.0.0.1",
            "::ffff:0:9.9.9.9",
            "::9.9.9.9",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "2001:0:1::1",
            "2001:0:909:909::1",
            "2001:2::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "100::1",
            "1fff:ffff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            check(address, false);
        }
    }

    #[test]
    fn public_addresses_are_reached() {
        check("9.9.9.9", true);
        check("100.63.255.255", true);
        check("172.32.0.1", true);
        check("2606:4700::1", true);
        check("::ffff:9.9.9.9", true);
        check("64:ff9b::9.9.9.9", true);
        check("2002:909:909::1", true);
        check("2001:200::1", true);
        check("2620:4f:8000::1", true);
        check("3fff:1000::1", true);
    }
}
