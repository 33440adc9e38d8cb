//! Addresses and small numbers as they stand in messages.
//!
//! What is read here must be written again byte for byte, so only the one usual way to write an address
//! counts: no leading zeros, and of IPv6 that of RFC 5952.

use std::net::{IpAddr, Ipv6Addr};

use crate::digits::{decimal_text, hex_text};
use crate::output::Output;

/// The IPv4 address that all of `token` is.
pub(crate) fn v4(token: &[u8]) -> Option<u32> {
    let (address, len) = v4_prefix(token)?;
    (len == token.len()).then_some(address)
}

/// The IPv4 address with which `text` begins, and its length.
pub(crate) fn v4_prefix(text: &[u8]) -> Option<(u32, usize)> {
    let (mut address, mut at) = (0, 0);
    for part in 0..4 {
        if part > 0 {
            text.get(at).filter(|byte| **byte == b'.')?;
            at += 1;
        }
        let (octet, len) = octet(text.get(at..)?)?;
        address = address << 8 | octet;
        at += len;
    }
    Some((address, at))
}

/// The number from 0 to 255 with which `text` begins, and its length.
fn octet(text: &[u8]) -> Option<(u32, usize)> {
    let value = |n: usize| {
        text.get(n).map(|byte| u32::from(byte.wrapping_sub(b'0'))).filter(|digit| *digit < 10)
    };
    let first = value(0)?;
    let Some(second) = value(1) else { return Some((first, 1)) };
    if first == 0 {
        return None;
    }
    let two = first * 10 + second;
    let Some(third) = value(2) else { return Some((two, 2)) };
    let three = two * 10 + third;
    (three < 256 && value(3).is_none()).then_some((three, 3))
}

/// Appends an address.
pub(crate) fn ip_text(ip: IpAddr, to: &mut Output<'_>) -> Option<()> {
    match ip {
        IpAddr::V4(v4) => v4_text(v4.to_bits(), to),
        IpAddr::V6(v6) => v6_text(v6, to),
    }
}

/// Appends an IPv4 address.
pub(crate) fn v4_text(address: u32, to: &mut Output<'_>) -> Option<()> {
    let (mut text, mut bits) = (0u128, 0);
    for octet in address.to_be_bytes() {
        let (digits, len) = OCTETS[usize::from(octet)];
        text |= u128::from(digits) << bits;
        bits += 8 * len;
    }
    // There is a dot after each octet, that after the last one being too much.
    to.sixteen(text, bits as usize / 8 - 1)
}

/// Each octet as text with a dot after it, the first character in the lowest byte, and its length.
const OCTETS: [(u32, u32); 256] = {
    let mut all = [(0, 0); 256];
    let mut octet = 0;
    while octet < 256 {
        let (mut text, mut len) = (b'.' as u32, 1);
        let mut rest = octet;
        while len == 1 || rest > 0 {
            text = text << 8 | (b'0' as usize + rest % 10) as u32;
            len += 1;
            rest /= 10;
        }
        all[octet] = (text, len);
        octet += 1;
    }
    all
};

/// Appends an IPv6 address as RFC 5952, section 4, wants it, without a dotted end.
fn v6_text(address: Ipv6Addr, to: &mut Output<'_>) -> Option<()> {
    const COLON: u64 = b':' as u64;
    let parts = address.segments();
    let (gap, gap_len) = longest_zeros(&parts);
    let (mut n, mut colon) = (0, 0);
    while n < parts.len() {
        if n == gap && gap_len > 1 {
            to.eight(COLON << 8 | COLON, 2)?;
            (n, colon) = (n + gap_len, 0);
            continue;
        }
        to.eight(COLON, colon)?;
        let digits = (u16::BITS - parts[n].leading_zeros()).div_ceil(4).max(1) as usize;
        to.eight(hex_text(parts[n].into(), digits, b'a'), digits)?;
        (n, colon) = (n + 1, 1);
    }
    Some(())
}

/// The first of the longest runs of zeros, and its length.
fn longest_zeros(parts: &[u16; 8]) -> (usize, usize) {
    let mut longest = (0, 0);
    let mut run = 0;
    for (n, part) in parts.iter().enumerate() {
        run = if *part == 0 { run + 1 } else { 0 };
        if run > longest.1 {
            longest = (n + 1 - run, run);
        }
    }
    longest
}

/// The number from 0 to 65535 that all of `token` is, without leading zeros.
pub(crate) fn number(token: &[u8]) -> Option<u16> {
    let (number, len) = number_prefix(token)?;
    (len == token.len()).then_some(number)
}

/// The number from 0 to 65535 with which `text` begins, without leading zeros and followed by no digit,
/// and its length.
pub(crate) fn number_prefix(text: &[u8]) -> Option<(u16, usize)> {
    let (mut number, mut len) = (0u32, 0);
    while let Some(digit) = text.get(len).map(|byte| byte.wrapping_sub(b'0')).filter(|n| *n < 10) {
        if len == 5 || (len == 1 && number == 0) {
            return None;
        }
        number = number * 10 + u32::from(digit);
        len += 1;
    }
    if len == 0 { None } else { Some((u16::try_from(number).ok()?, len)) }
}

/// Appends a number.
pub(crate) fn number_text(number: u16, to: &mut Output<'_>) -> Option<()> {
    let more = [10, 100, 1000, 10_000].into_iter().filter(|limit| number >= *limit).count();
    to.eight(decimal_text(number.into(), more + 1), more + 1)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn text(put: impl Fn(&mut Output<'_>) -> Option<()>) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::new(&mut bytes, 45);
        put(&mut output).unwrap();
        let len = output.at();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }

    proptest! {
        #[test]
        fn addresses_are_written_as_everybody_writes_them(
            four in any::<u32>(),
            parts in prop::array::uniform8(prop::sample::select(vec![0u16, 1, 0xa, 0x2001, 0xffff])),
        ) {
            let v4 = Ipv4Addr::from_bits(four);
            prop_assert_eq!(text(|to| ip_text(v4.into(), to)), v4.to_string());
            let v6 = Ipv6Addr::from(parts);
            // std ends mapped addresses in dots.
            if v6.to_ipv4().is_none() {
                prop_assert_eq!(text(|to| ip_text(v6.into(), to)), v6.to_string());
            }
        }

        #[test]
        fn an_address_is_read_only_if_it_is_written_the_same(token in "[0-9.]{1,17}") {
            let known = v4(token.as_bytes());
            prop_assert_eq!(known, token.parse().ok().map(Ipv4Addr::to_bits));
            if let Some(address) = known {
                prop_assert_eq!(text(|to| v4_text(address, to)), token);
            }
        }

        #[test]
        fn every_address_is_read(address in any::<u32>(), rest in "([^0-9].*)?") {
            let token = Ipv4Addr::from_bits(address).to_string();
            prop_assert_eq!(v4(token.as_bytes()), Some(address));
            let longer = format!("{token}{rest}");
            prop_assert_eq!(v4_prefix(longer.as_bytes()), Some((address, token.len())));
        }

        #[test]
        fn numbers_come_back_as_they_went_in(value in any::<u16>(), token in "[0-9]{0,6}") {
            prop_assert_eq!(text(|to| number_text(value, to)), value.to_string());
            prop_assert_eq!(number(value.to_string().as_bytes()), Some(value));
            let canonical = token.parse().ok().filter(|n: &u16| n.to_string() == token);
            prop_assert_eq!(number(token.as_bytes()), canonical);
        }
    }
}
