//! Any text as a grant, any spelling of an address: what is compared is what the HTTP client would dial.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use test_kit::mutate;

use super::address::is_public;
use super::*;

const SEEDS: &str = include_str!("../../tests/corpus/grants.txt");

fn damaged() -> impl Strategy<Value = String> {
    let seeds: Vec<&str> = SEEDS.lines().collect();
    let changes = prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..4);
    (prop::sample::select(seeds), changes).prop_map(|(seed, changes)| {
        String::from_utf8_lossy(&mutate(seed.as_bytes(), &changes)).into_owned()
    })
}

/// An address as a number, in hexadecimal, in octal, and with its last parts as one.
fn spellings(address: Ipv4Addr) -> [String; 6] {
    let [a, b, c, d] = address.octets();
    let whole = u32::from(address);
    [
        format!("{whole}"),
        format!("{whole:#x}"),
        format!("0{whole:o}"),
        format!("{a:#x}.{b:#o}.{c}.{d}").replace("0o", "0"),
        format!("{a}.{}", whole & 0x00ff_ffff),
        format!("{address}."),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_024, ..ProptestConfig::default() })]

    #[test]
    fn a_grant_that_is_taken_stands_for_one_origin(text in damaged()) {
        if let Ok(origin) = Origin::parse_grant(&text) {
            prop_assert_eq!(Origin::parse_grant(&origin.to_string()), Ok(origin.clone()));
            let url = Url::parse(&text).unwrap();
            prop_assert!(url.username().is_empty() && url.password().is_none());
            prop_assert_eq!(url.path(), "/");
            let grants = NetGrants::new(vec![origin]);
            prop_assert!(grants.allows(&Origin::of(&url).unwrap()));
        }
    }

    #[test]
    fn a_number_in_any_spelling_is_the_address(address in any::<Ipv4Addr>()) {
        for host in spellings(address) {
            let text = format!("http://{host}/");
            let origin = Origin::of(&Url::parse(&text).unwrap()).unwrap();
            prop_assert_eq!(origin.literal(), Some(IpAddr::V4(address)), "{}", text);
            prop_assert!(!is_granted_without_being_named(&text, address), "{}", text);
        }
    }

    #[test]
    fn an_ipv4_address_within_another_is_no_more_public_than_itself(address in any::<Ipv4Addr>()) {
        let [a, b, c, d] = address.octets();
        let high = u16::from_be_bytes([a, b]);
        let low = u16::from_be_bytes([c, d]);
        let may = is_public(address.into());
        let never = false;
        for (carrier, public) in [
            (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low), may),
            (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low), may),
            (Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1), may),
            (Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low), never),
            (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low), never),
            (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low), never),
            (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low), never),
        ] {
            prop_assert_eq!(is_public(carrier.into()), public, "{}", carrier);
        }
    }
}

/// A grant in an unusual spelling is refused, so that no address is granted by mistake.
fn is_granted_without_being_named(text: &str, address: Ipv4Addr) -> bool {
    !text.contains(&address.to_string())
        && Origin::parse_grant(text).is_ok_and(|origin| origin.literal().is_some())
}
