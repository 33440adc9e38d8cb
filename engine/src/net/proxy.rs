//! The PROXY protocol: what a front end says before anything else about the connection that it
//! passes on (HAProxy's `proxy-protocol.txt`, version 1 in section 2.1, version 2 in 2.2).
//!
//! Pure: the bytes so far in, what they say out. Only a front end that the operator names is asked
//! for a header, and from one anything else is refused: who could leave it out could also make it up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::{PROXY_V1_BYTES_MAX, PROXY_V2_BYTES_MAX};

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection is passed on for somebody.
    Proxied {
        /// Who connected to the front end.
        source: SocketAddr,
        /// Where to.
        destination: SocketAddr,
    },
    /// It is the front end's own (version 2's LOCAL: a health check, say), or it does not know whose
    /// (version 1's UNKNOWN, version 2's AF_UNSPEC). The real addresses hold.
    Local,
}

/// These bytes begin no header, or one that breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

const V1: &[u8] = b"PROXY ";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of version 2 before the addresses: signature, version and command, family, length.
const V2_FIXED_BYTES: usize = 16;

/// Reads the header that `bytes` begin with: what it says and its length in bytes; nothing while
/// more bytes are needed.
///
/// # Errors
///
/// [`Broken`] as early as it can be told.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Broken> {
    if begins(bytes, V1) {
        v1(bytes)
    } else if begins(bytes, V2) {
        v2(bytes)
    } else {
        Err(Broken)
    }
}

/// Whether `bytes` begin with `signature`, as far as they go.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    let common = bytes.len().min(signature.len());
    bytes[..common] == signature[..common]
}

/// `PROXY TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT CRLF`, or TCP6, or UNKNOWN and
/// whatever follows.
fn v1(bytes: &[u8]) -> Result<Option<(Header, usize)>, Broken> {
    let within = &bytes[..bytes.len().min(PROXY_V1_BYTES_MAX)];
    let Some(end) = within.windows(2).position(|pair| pair == b"\r\n") else {
        return if within.len() == PROXY_V1_BYTES_MAX { Err(Broken) } else { Ok(None) };
    };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| Broken)?;
    let words: Vec<&str> = line.split(' ').collect();
    let header = match words[..] {
        [_, "UNKNOWN", ..] => Header::Local,
        [_, "TCP4", source, destination, from, to] => Header::Proxied {
            source: v1_address::<Ipv4Addr>(source, from)?,
            destination: v1_address::<Ipv4Addr>(destination, to)?,
        },
        [_, "TCP6", source, destination, from, to] => Header::Proxied {
            source: v1_address::<Ipv6Addr>(source, from)?,
            destination: v1_address::<Ipv6Addr>(destination, to)?,
        },
        _ => return Err(Broken),
    };
    Ok(Some((header, end + 2)))
}

fn v1_address<T: std::str::FromStr + Into<IpAddr>>(
    ip: &str,
    port: &str,
) -> Result<SocketAddr, Broken> {
    let ip: IpAddr = ip.parse::<T>().map_err(|_| Broken)?.into();
    // Rust's own reading of numbers takes a sign too.
    let port = Some(port).filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let port = port.and_then(|port| port.parse().ok()).ok_or(Broken)?;
    Ok(SocketAddr::new(ip.to_canonical(), port))
}

/// Signature, version and command, address family and transport, length of the rest; addresses,
/// ports, and what else there is to say (TLVs), which is skipped.
fn v2(bytes: &[u8]) -> Result<Option<(Header, usize)>, Broken> {
    let Some(fixed) = bytes.get(..V2_FIXED_BYTES) else { return Ok(None) };
    let (command, family) = (fixed[12], fixed[13]);
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > PROXY_V2_BYTES_MAX || !matches!(command, 0x20 | 0x21) {
        return Err(Broken);
    }
    let Some(rest) = bytes.get(V2_FIXED_BYTES..V2_FIXED_BYTES + length) else { return Ok(None) };
    let header = match (command, family) {
        // LOCAL, whatever else it says; and PROXY of an unspecified family.
        (0x20, _) | (_, 0x00) => Header::Local,
        (_, 0x11) => v2_addresses::<4>(rest)?,
        (_, 0x21) => v2_addresses::<16>(rest)?,
        // Datagrams and Unix sockets do not come this way.
        _ => return Err(Broken),
    };
    Ok(Some((header, V2_FIXED_BYTES + length)))
}

/// Two addresses of `N` bytes and two ports.
fn v2_addresses<const N: usize>(rest: &[u8]) -> Result<Header, Broken>
where
    IpAddr: From<[u8; N]>,
{
    let ip = |at: usize| {
        let octets = rest.get(at..at + N).and_then(|octets| <[u8; N]>::try_from(octets).ok());
        octets.map(|octets| IpAddr::from(octets).to_canonical()).ok_or(Broken)
    };
    let port = |at: usize| match rest.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Broken),
    };
    Ok(Header::Proxied {
        source: SocketAddr::new(ip(0)?, port(2 * N)?),
        destination: SocketAddr::new(ip(N)?, port(2 * N + 2)?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxied(source: &str, destination: &str) -> Header {
        Header::Proxied {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    /// A header of version 2.
    fn v2_bytes(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2, &[command, family], &length, rest].concat()
    }

    #[test]
    fn version_1_names_the_caller() {
        for (line, header) in [
            (
                "PROXY TCP4 198.51.100.7 192.0.2.9 40000 5060",
                proxied("198.51.100.7:40000", "192.0.2.9:5060"),
            ),
            (
                "PROXY TCP6 2001:db8::7 2001:db8::9 1 65535",
                proxied("[2001:db8::7]:1", "[2001:db8::9]:65535"),
            ),
            ("PROXY TCP6 ::ffff:198.51.100.7 ::1 1 2", proxied("198.51.100.7:1", "[::1]:2")),
            ("PROXY UNKNOWN", Header::Local),
            ("PROXY UNKNOWN ffff::1 what ever", Header::Local),
        ] {
            let bytes = format!("{line}\r\nOPTIONS sip:1@x SIP/2.0\r\n");
            assert_eq!(parse(bytes.as_bytes()), Ok(Some((header, line.len() + 2))), "{line}");
        }
    }

    #[test]
    fn version_1_that_breaks_the_rules_is_refused() {
        for line in [
            "PROXY TCP4 198.51.100.7 192.0.2.9 40000",
            "PROXY TCP4 198.51.100.7 192.0.2.9 40000 5060 1",
            "PROXY TCP4 198.51.100.7  192.0.2.9 40000 5060",
            "PROXY TCP4 2001:db8::7 2001:db8::9 1 2",
            "PROXY TCP4 198.51.100.7 192.0.2.9 +1 2",
            "PROXY TCP4 198.51.100.7 192.0.2.9 65536 2",
            "PROXY TCP5 198.51.100.7 192.0.2.9 1 2",
            "PROXY tcp4 198.51.100.7 192.0.2.9 1 2",
            "PROXY ",
            "PROXY TCP4 198.51.100.7 192.0.2.9 1 2\n",
        ] {
            assert_eq!(parse(format!("{line}\r\n").as_bytes()), Err(Broken), "{line}");
        }
    }

    #[test]
    fn version_1_has_107_bytes_at_most() {
        let line = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16));
        assert_eq!(parse(line(107).as_bytes()), Ok(Some((Header::Local, 107))));
        assert_eq!(parse(line(108).as_bytes()), Err(Broken));
        assert_eq!(parse(&line(108).as_bytes()[..106]), Ok(None));
        assert_eq!(parse(&line(108).as_bytes()[..107]), Err(Broken));
    }

    #[test]
    fn version_2_names_the_caller_and_its_further_words_are_skipped() {
        let v4 = [198, 51, 100, 7, 192, 0, 2, 9, 0x9c, 0x40, 0x13, 0xc4];
        let header = proxied("198.51.100.7:40000", "192.0.2.9:5060");
        assert_eq!(parse(&v2_bytes(0x21, 0x11, &v4)), Ok(Some((header, 28))));
        let more = [&v4[..], &[4, 0, 3, 1, 2, 3]].concat();
        assert_eq!(parse(&v2_bytes(0x21, 0x11, &more)), Ok(Some((header, 34))));
        let v6 = [
            &"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets()[..],
            &"2001:db8::9".parse::<Ipv6Addr>().unwrap().octets(),
            &[0, 1, 0, 2],
        ]
        .concat();
        let header = proxied("[2001:db8::7]:1", "[2001:db8::9]:2");
        assert_eq!(parse(&v2_bytes(0x21, 0x21, &v6)), Ok(Some((header, 52))));
    }

    #[test]
    fn version_2_of_the_front_end_itself_leaves_the_real_addresses() {
        for (command, family, rest) in
            [(0x20, 0x00, &[][..]), (0x20, 0x11, &[1, 2]), (0x20, 0xff, &[]), (0x21, 0x00, &[9; 5])]
        {
            let bytes = v2_bytes(command, family, rest);
            assert_eq!(parse(&bytes), Ok(Some((Header::Local, bytes.len()))));
        }
    }

    #[test]
    fn version_2_that_breaks_the_rules_is_refused() {
        for (command, family, rest) in [
            (0x11, 0x11, &[0; 12][..]),
            (0x22, 0x11, &[0; 12]),
            (0x21, 0x11, &[0; 11]),
            (0x21, 0x21, &[0; 35]),
            (0x21, 0x12, &[0; 12]),
            (0x21, 0x31, &[0; 216]),
        ] {
            assert_eq!(parse(&v2_bytes(command, family, rest)), Err(Broken));
        }
        let most = vec![0; PROXY_V2_BYTES_MAX];
        assert!(parse(&v2_bytes(0x20, 0, &most)).unwrap().is_some());
        let beyond = v2_bytes(0x20, 0, &vec![0; PROXY_V2_BYTES_MAX + 1]);
        assert_eq!(parse(&beyond[..V2_FIXED_BYTES]), Err(Broken), "told by the length alone");
    }

    #[test]
    fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
        for (bytes, wrong) in
            [("OPTIONS sip:1@x", 0), ("PROXIES", 4), ("\r\n\r\n\r\n", 4), ("\u{16}\u{3}\u{1}", 0)]
        {
            assert_eq!(parse(&bytes.as_bytes()[..wrong]), Ok(None), "{bytes:?}");
            assert_eq!(parse(&bytes.as_bytes()[..=wrong]), Err(Broken), "{bytes:?}");
        }
    }

    fn any_header() -> impl Strategy<Value = (Vec<u8>, Header)> {
        let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>(), any::<u16>(), any::<u16>());
        let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u16>(), any::<u16>());
        let more = proptest::collection::vec(any::<u8>(), 0..40);
        let addresses = prop_oneof![
            v4.prop_map(|(a, b, p, q)| (IpAddr::from(a), IpAddr::from(b), p, q)),
            v6.prop_map(|(a, b, p, q)| (IpAddr::from(a), IpAddr::from(b), p, q)),
        ];
        (addresses, more, any::<bool>()).prop_map(|((a, b, p, q), more, old)| {
            let header = Header::Proxied {
                source: SocketAddr::new(a.to_canonical(), p),
                destination: SocketAddr::new(b.to_canonical(), q),
            };
            let name = if a.is_ipv4() { "TCP4" } else { "TCP6" };
            if old {
                return (format!("PROXY {name} {a} {b} {p} {q}\r\n").into_bytes(), header);
            }
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let ports = [p.to_be_bytes(), q.to_be_bytes()].concat();
            let rest = [octets(a), octets(b), ports, more].concat();
            (v2_bytes(0x21, if a.is_ipv4() { 0x11 } else { 0x21 }, &rest), header)
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_any_part_of_it_waits_for_the_rest(
            (bytes, header) in any_header(),
            after in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            for end in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..end]), Ok(None));
            }
            let length = bytes.len();
            prop_assert_eq!(parse(&[bytes, after].concat()), Ok(Some((header, length))));
        }

        /// Anything at all, mostly with the start of a header and one byte changed.
        #[test]
        fn nothing_is_read_beyond_the_bounds_and_a_verdict_stands(
            (mut bytes, _) in any_header(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
            noise in proptest::collection::vec(any::<u8>(), 0..200), raw in any::<bool>(),
        ) {
            if raw {
                bytes = noise;
            } else {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                bytes.extend(noise);
            }
            let whole = parse(&bytes);
            let mut settled = Ok(None);
            for end in 0..=bytes.len() {
                let now = parse(&bytes[..end]);
                if settled != Ok(None) {
                    prop_assert_eq!(now, settled, "more bytes changed the verdict");
                }
                settled = now;
            }
            prop_assert_eq!(settled, whole);
            if let Ok(Some((_, length))) = whole {
                prop_assert!(length <= bytes.len());
                prop_assert!(length <= V2_FIXED_BYTES + PROXY_V2_BYTES_MAX);
            }
        }
    }
}
