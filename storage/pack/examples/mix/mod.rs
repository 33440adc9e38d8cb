//! Messages as scanners and toll-fraud tools send them, made up and the same every time, with the count
//! of the random bits that each of them holds: what no packing can save.
//!
//! Every tool has a layout of its own and draws what such tools draw: tags, branches, Call-IDs, numbers
//! to call, accounts, ports, session ids. What a receiver knows anyway, where it came from, is not
//! counted.

mod calls;
pub mod hostile;
mod probes;

use std::net::{Ipv4Addr, SocketAddr};

/// A message with what goes with it.
pub struct Message {
    pub bytes: Vec<u8>,
    pub method: &'static str,
    pub user_agent: String,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// Random bits in it, with those that chose its tool.
    pub bits: f64,
}

/// How many of the messages are calls, which are long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// About 500 bytes each.
    Short,
    /// About 650 bytes each.
    Long,
}

/// Writes a message or a part of it, and says its method and its user agent.
type Tool = fn(&mut String, SocketAddr, &mut Draw) -> (&'static str, String);

const SHORT: [Tool; 20] = [
    probes::sipvicious_options,
    probes::sipvicious_options,
    probes::sipvicious_register,
    probes::sipvicious_register,
    probes::eyebeam_register,
    probes::asterisk_options,
    probes::asterisk_options,
    probes::sipsak_options,
    probes::sipsak_options,
    probes::linphone_register,
    probes::random_agent_options,
    probes::random_agent_options,
    probes::zoiper_register,
    probes::cisco_options,
    probes::nmap_options,
    calls::vax_invite,
    calls::sipcli_invite,
    calls::pplsip_invite,
    calls::compact_invite,
    calls::ack,
];

const LONG: [Tool; 18] = [
    probes::sipvicious_options,
    probes::sipvicious_register,
    probes::eyebeam_register,
    probes::zoiper_register,
    probes::cisco_options,
    probes::linphone_register,
    probes::random_agent_options,
    calls::polycom_invite,
    calls::vax_invite,
    calls::sipcli_invite,
    calls::pplsip_invite,
    calls::pplsip_invite,
    calls::zoiper_invite,
    calls::zoiper_invite,
    calls::asterisk_invite,
    calls::asterisk_invite,
    calls::compact_invite,
    calls::ack,
];

/// The honeypot that they all found.
const HERE: &str = "198.51.100.23";

const ZOIPER: [&str; 3] = ["Z 5.4.12 v2.10.13.2", "Z 5.5.8 v2.10.18.2", "Z 3.15.40006 rv2.8.20"];
const PBX: [&str; 4] = [
    "Asterisk PBX 13.38.3",
    "Asterisk PBX 16.2.1~dfsg-1",
    "FPBX-14.0.16.11(13.38.3)",
    "FPBX-15.0.37(18.13.0)",
];

/// Appends lines, each with its CR LF.
macro_rules! put {
    ($to:expr, $($line:expr),+ $(,)?) => {{
        $( let _ = write!($to, "{}\r\n", format_args!($line)); )+
    }};
}
use put;

/// `count` messages from so many sources, in an order that nobody can guess.
pub fn messages(mix: Mix, count: usize, sources: u32) -> Vec<Message> {
    let mut draw = Draw::new(7);
    (0..count).map(|_| message(mix, sources, &mut draw)).collect()
}

fn message(mix: Mix, sources: u32, draw: &mut Draw) -> Message {
    let tools = if mix == Mix::Short { &SHORT[..] } else { &LONG };
    let source = source(sources, draw);
    draw.bits = 0.0;
    let tool = draw.pick(tools);
    let mut text = String::with_capacity(1024);
    let (method, user_agent) = tool(&mut text, source, draw);
    Message {
        bytes: text.into_bytes(),
        method,
        user_agent,
        source,
        destination: SocketAddr::new(Ipv4Addr::new(198, 51, 100, 23).into(), 5060),
        bits: draw.bits,
    }
}

/// Half of them send from the ports that SIP has, half from any.
fn source(sources: u32, draw: &mut Draw) -> SocketAddr {
    let number = draw.below(sources.into()) as u32;
    let ip = Ipv4Addr::from_bits(0x2d00_0000 + number.wrapping_mul(2_654_435) % 0x1000_0000);
    let port = if draw.below(2) == 0 { 5060 + draw.below(100) } else { 1024 + draw.below(64_000) };
    SocketAddr::new(ip.into(), port as u16)
}

/// Draws, and counts what was drawn.
pub struct Draw {
    state: u64,
    bits: f64,
}

impl Draw {
    fn new(seed: u64) -> Self {
        Self { state: seed, bits: 0.0 }
    }

    /// xorshift64* by Vigna.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.bits += (limit as f64).log2();
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn characters(&mut self, of: &[u8], len: usize) -> String {
        (0..len).map(|_| char::from(self.pick(of))).collect()
    }

    fn hex(&mut self, len: usize) -> String {
        self.characters(b"0123456789abcdef", len)
    }

    fn decimal(&mut self, len: usize) -> String {
        self.characters(b"0123456789", len)
    }

    fn letters(&mut self, len: usize) -> String {
        self.characters(b"abcdefghijklmnopqrstuvwxyz", len)
    }

    fn base62(&mut self, len: usize) -> String {
        const ALL: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        self.characters(ALL, len)
    }

    fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|len| self.hex(len)).join("-")
    }

    fn integer32(&mut self) -> u64 {
        self.below(1 << 32)
    }

    /// An account that is a number: most have three or four digits, and some are favourites.
    fn extension(&mut self) -> u64 {
        match self.below(4) {
            0 => 100 + self.below(100),
            1 => 1000 + self.below(20),
            _ => 100 + self.below(9_900),
        }
    }

    /// Any account.
    fn account(&mut self) -> String {
        const NAMES: [&str; 16] = [
            "admin",
            "test",
            "user",
            "phone",
            "reception",
            "sales",
            "support",
            "voip",
            "sip",
            "office",
            "guest",
            "operator",
            "pbx",
            "trunk",
            "demo",
            "security",
        ];
        if self.below(4) == 0 { self.pick(&NAMES).to_owned() } else { self.extension().to_string() }
    }

    /// A number to call: a prefix that may lead out, and one of some favourites or any number of a few
    /// countries.
    fn number(&mut self) -> String {
        const PREFIXES: [&str; 12] =
            ["00", "+", "011", "9011", "900", "000", "0", "", "90011", "0011", "700", "00900"];
        const COUNTRIES: [&str; 8] = ["44", "46", "972", "48", "1", "370", "252", "44208"];
        let prefix = self.pick(&PREFIXES);
        if self.below(2) == 0 {
            return format!("{prefix}{}", 44_123_400_000 + 7_777_777 * self.below(60));
        }
        format!("{prefix}{}{}", self.pick(&COUNTRIES), self.decimal(9))
    }
}
