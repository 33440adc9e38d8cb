//! Prefixes of addresses, as people write them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network: an address and how many of its leading bits count. A lone address is a network of one.
/// Sorts by its first address, and a larger network before those in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The bits that count, and zeros.
    network: IpAddr,
    length: u8,
}

/// A text that is neither an address nor a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an address nor a prefix")]
pub struct NotAPrefix;

impl Prefix {
    /// The network of the `length` leading bits of `ip`: no more than its family has.
    #[must_use]
    pub fn new(ip: IpAddr, length: u8) -> Self {
        let ip = ip.to_canonical();
        let length = length.min(width(ip));
        Self { network: mask(ip, length), length }
    }

    /// The first address.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// How many leading bits count: 0 to 32, or 128 for IPv6.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether `ip` is in the network. IPv4 in IPv6's clothes is IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.network.is_ipv4() && mask(ip, self.length) == self.network
    }
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// The first `length` bits of `ip`, and zeros.
fn mask(ip: IpAddr, length: u8) -> IpAddr {
    let rest = u32::from(width(ip) - length);
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

impl FromStr for Prefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let ip: IpAddr = address.parse().map_err(|_| NotAPrefix)?;
        let length = match length {
            // A number with a sign or in another form is a slip.
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            Some(_) => None,
            None => Some(width(ip)),
        };
        match (ip, length.filter(|length| *length <= width(ip))) {
            (IpAddr::V6(v6), Some(length)) if v6.to_ipv4_mapped().is_some() && length >= 96 => {
                let ip = ip.to_canonical();
                Ok(Self { network: mask(ip, length - 96), length: length - 96 })
            }
            (ip, Some(length)) => Ok(Self { network: mask(ip, length), length }),
            (_, None) => Err(NotAPrefix),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_holds_what_shares_its_leading_bits() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.7/25", "192.0.2.127", "192.0.2.128"),
            ("0.0.0.0/0", "203.0.113.1", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "::ffff:11.1.2.3"),
        ] {
            assert!(prefix(text).contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!prefix(text).contains(outside.parse().unwrap()), "{text} {outside}");
        }
        assert!(prefix("10.0.0.0/8").contains("::ffff:10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in
            ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10/8", "x", "1.2.3.4/8/8"]
        {
            assert_eq!(text.parse::<Prefix>(), Err(NotAPrefix), "{text}");
        }
    }

    #[test]
    fn a_prefix_reads_back_as_itself() {
        for text in ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::/0"] {
            assert_eq!(prefix(text).to_string(), text);
        }
        assert_eq!(prefix("10.1.2.3/8").to_string(), "10.0.0.0/8");
    }
}
