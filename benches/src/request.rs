//! The requests that the load consists of, and where they may go.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Methods, used in turn.
pub const METHODS: [&str; 3] = ["OPTIONS", "REGISTER", "INVITE"];

/// User agents, used in turn, so that the load is not one template over and over.
const AGENTS: [&str; 4] =
    ["bench-phone/1.4", "bench scanner", "Bench PBX 16.2.1", "bench-dialer 0.9"];

/// Most sources that there are addresses for: hosts of 127.1.0.0 up to 127.254.255.254.
pub const SOURCES_MAX: u32 = 254 * 256 * 254;

/// Which requests to write.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many addresses they come from, at least 1.
    pub sources: u32,
    /// How many numbers they call, at least 1.
    pub numbers: u32,
    /// Least length of a request, in bytes; shorter ones are padded by a header.
    pub bytes_min: usize,
    /// Starts every Call-ID, so that two runs never share one.
    pub run: String,
    /// What its Via says that it comes by: `UDP`, `TCP` or `TLS`.
    pub transport: &'static str,
    /// Methods, used in turn; at least one.
    pub methods: &'static [&'static str],
}

/// The target, if it is on this machine.
///
/// # Errors
///
/// A message for the operator when `text` is not an address with a port, or not of 127.0.0.0/8.
pub fn loopback(text: &str) -> Result<SocketAddrV4, String> {
    let target: SocketAddrV4 =
        text.parse().map_err(|_| format!("`{text}` is not IPv4-ADDRESS:PORT"))?;
    if target.ip().is_loopback() && target.port() != 0 {
        Ok(target)
    } else {
        Err(format!("`{text}` is refused: only 127.0.0.0/8 is sent to"))
    }
}

impl Plan {
    /// The address that request number `seq` comes from: 127.1.0.1 and on, without .0 and .255.
    #[must_use]
    pub fn source(&self, seq: u64) -> Ipv4Addr {
        let index = (seq % u64::from(self.sources.clamp(1, SOURCES_MAX))) as u32;
        Ipv4Addr::from(0x7f01_0000 + (index / 254) * 256 + index % 254 + 1)
    }

    /// The number that request number `seq` calls, as it is written in its URI.
    #[must_use]
    pub fn number(&self, seq: u64) -> String {
        format!("+44{}", 2_000_000_000 + seq % u64::from(self.numbers.max(1)))
    }

    /// Appends request number `seq`, as `from` sends it to `target`.
    pub fn write(&self, seq: u64, from: SocketAddrV4, target: SocketAddrV4, into: &mut Vec<u8>) {
        let begin = into.len();
        self.lines(seq, from, target, into);
        const END: &[u8] = b"Content-Length: 0\r\n\r\n";
        const PADDING: &[u8] = b"X-Padding: \r\n";
        if let Some(short) =
            self.bytes_min.checked_sub(into.len() - begin + END.len() + PADDING.len())
        {
            into.extend_from_slice(b"X-Padding: ");
            into.resize(into.len() + short, b'p');
            into.extend_from_slice(b"\r\n");
        }
        into.extend_from_slice(END);
    }

    fn lines(&self, seq: u64, from: SocketAddrV4, target: SocketAddrV4, into: &mut Vec<u8>) {
        let in_turn = self.methods.len() as u64;
        let method = self.methods[(seq % in_turn) as usize];
        let agent = AGENTS[(seq / in_turn % AGENTS.len() as u64) as usize];
        let (source, port) = (from.ip(), from.port());
        let number = self.number(seq);
        let account = 200 + seq % 800;
        let (run, transport) = (&self.run, self.transport);
        // A vector takes every write.
        let _ = write!(
            into,
            "{method} sip:{number}@{target} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {source}:{port};rport;branch=z9hG4bKbench{seq:x}\r\n\
             From: \"{account}\" <sip:{account}@{target}>;tag=f{seq:x}\r\n\
             To: <sip:{number}@{target}>\r\n\
             Call-ID: {run}-{seq:012}@{source}\r\n\
             CSeq: {cseq} {method}\r\n\
             Contact: <sip:{account}@{source}:{port};transport=udp>\r\n\
             Max-Forwards: 70\r\n\
             User-Agent: {agent}\r\n\
             Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n",
            cseq = 1 + seq % 9,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn plan() -> Plan {
        Plan {
            sources: 1_000,
            numbers: 10,
            bytes_min: 450,
            run: "run".to_owned(),
            transport: "UDP",
            methods: &METHODS,
        }
    }

    fn written(seq: u64) -> String {
        let mut bytes = Vec::new();
        let from = SocketAddrV4::new(plan().source(seq), 5062);
        plan().write(seq, from, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5060), &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_this_machine_is_a_target() {
        assert!(loopback("127.0.0.1:5060").is_ok());
        assert!(loopback("127.9.8.7:1").is_ok());
        for wrong in ["192.0.2.1:5060", "10.0.0.1:5060", "0.0.0.0:5060", "127.0.0.1", "127.0.0.1:0"]
        {
            assert!(loopback(wrong).is_err(), "{wrong}");
        }
        assert!(loopback("localhost:5060").is_err(), "names could mean anything");
    }

    #[test]
    fn every_request_has_a_call_id_of_its_own() {
        let call_id = |seq| {
            let text = written(seq);
            text.lines().find(|line| line.starts_with("Call-ID: ")).unwrap().to_owned()
        };
        let ids: HashSet<String> = (0..5_000).map(call_id).collect();
        assert_eq!(ids.len(), 5_000);
    }

    #[test]
    fn there_are_as_many_sources_and_numbers_as_asked_for() {
        let sources: HashSet<Ipv4Addr> = (0..3_000).map(|seq| plan().source(seq)).collect();
        assert_eq!(sources.len(), 1_000);
        assert!(sources.iter().all(|ip| ip.is_loopback() && !matches!(ip.octets()[3], 0 | 255)));
        let number = |seq| written(seq).split(['+', '@']).nth(1).unwrap().to_owned();
        assert_eq!((0..100).map(number).collect::<HashSet<String>>().len(), 10);
        let last = Plan { sources: SOURCES_MAX, ..plan() }.source(u64::from(SOURCES_MAX) - 1);
        assert!(last.is_loopback(), "{last}");
    }

    #[test]
    fn what_is_longer_than_any_request_makes_all_of_one_length() {
        let plan = Plan { bytes_min: 500, ..plan() };
        let mut bytes = Vec::new();
        for seq in (0..1_000_000).step_by(997) {
            let from = SocketAddrV4::new(plan.source(seq), 40_000);
            plan.write(seq, from, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 30_000), &mut bytes);
        }
        assert_eq!(bytes.len(), 500 * 1_000_000_usize.div_ceil(997));
    }

    #[test]
    fn a_request_is_padded_to_its_least_length_and_ends_as_it_must() {
        for seq in 0..100 {
            let text = written(seq);
            assert!((450..500).contains(&text.len()), "{}", text.len());
            assert!(text.ends_with("\r\nContent-Length: 0\r\n\r\n"));
            assert!(text.lines().next().unwrap().ends_with(" SIP/2.0"));
        }
    }
}
