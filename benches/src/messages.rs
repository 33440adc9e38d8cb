//! Messages to measure parsers with, worded for this project after what scanners and toll-fraud
//! tools send: short probes, registrations, calls with a session description, folded and compact
//! headers.

/// The messages, in no particular order. Shuffle them: a parser that sees one over and over is
/// flattered by the branch predictor.
pub const MESSAGES: [&str; 8] =
    [PROBE, REGISTER, REGISTER_DIGEST, CALL, CALL_PHONE, CALL_COMPACT, CALL_FOLDED, ACK];

const PROBE: &str = "\
OPTIONS sip:3001@198.51.100.20 SIP/2.0\r
Via: SIP/2.0/UDP 203.0.113.40:5071;branch=z9hG4bK-1741882915;rport\r
Max-Forwards: 70\r
From: \"sweep\"<sip:3001@1.1.1.1>;tag=6334653730316135313363340131373036\r
To: \"sweep\"<sip:3001@1.1.1.1>\r
Call-ID: 913377482095713344880251\r
CSeq: 1 OPTIONS\r
Contact: <sip:3001@203.0.113.40:5071>\r
User-Agent: pretty-sweeper\r
Accept: application/sdp\r
Content-Length: 0\r
\r
";

const REGISTER: &str = "\
REGISTER sip:198.51.100.20 SIP/2.0\r
Via: SIP/2.0/UDP 203.0.113.41:5080;branch=z9hG4bK-988123;rport\r
From: <sip:208@198.51.100.20>;tag=77fe01\r
To: <sip:208@198.51.100.20>\r
Call-ID: 448812003917\r
CSeq: 1 REGISTER\r
Contact: <sip:208@203.0.113.41:5080>\r
Expires: 120\r
Max-Forwards: 70\r
User-Agent: door-rattler 2\r
Content-Length: 0\r
\r
";

const REGISTER_DIGEST: &str = "\
REGISTER sip:sip.example.net:5060 SIP/2.0\r
Via: SIP/2.0/UDP 192.168.0.14:6062;received=203.0.113.42;rport=6062;branch=z9hG4bK-d8754z-3b1f\r
Max-Forwards: 70\r
Contact: <sip:7002@203.0.113.42:6062;rinstance=8f0c4d0b1f2ae6f1>;expires=3600\r
To: \"7002\"<sip:7002@sip.example.net>\r
From: \"7002\"<sip:7002@sip.example.net>;tag=1b44c07e\r
Call-ID: ZjQ1MmY4NTQ5YzZhNmY0ZDQ4ZGQ1OTEx\r
CSeq: 2 REGISTER\r
Expires: 3600\r
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO\r
User-Agent: softer phone 3.1 build 6622\r
Authorization: Digest username=\"7002\",realm=\"sip.example.net\",nonce=\"0f7c41d2a9b3\",\
uri=\"sip:sip.example.net:5060\",response=\"8d3f0c2b7a1e4f65908172635445aabb\",algorithm=MD5\r
Content-Length: 0\r
\r
";

const CALL: &str = "\
INVITE sip:900442071230000@198.51.100.20 SIP/2.0\r
Via: SIP/2.0/UDP 203.0.113.43:5070;branch=z9hG4bK-524287-1---a1b2c3d4e5f60718;rport\r
Max-Forwards: 70\r
Contact: <sip:9000@203.0.113.43:5070;transport=UDP>\r
To: <sip:900442071230000@198.51.100.20;transport=UDP>\r
From: <sip:9000@198.51.100.20;transport=UDP>;tag=c0ffee42\r
Call-ID: bH7pQ2Lr9sT0uVwX1yZ3aB..\r
CSeq: 1 INVITE\r
Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\r
Content-Type: application/sdp\r
User-Agent: dial-everything 0.7\r
Content-Length: 165\r
\r
v=0\r
o=- 7731 7731 IN IP4 203.0.113.43\r
s=call\r
c=IN IP4 203.0.113.43\r
t=0 0\r
m=audio 8002 RTP/AVP 8 0 101\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:101 telephone-event/8000\r
";

const CALL_PHONE: &str = "\
INVITE sip:+33145670000@pbx.example.org;user=phone SIP/2.0\r
Via: SIP/2.0/UDP 203.0.113.44:5060;branch=z9hG4bK7c93aa10b5e2f118\r
From: \"Front Desk\" <sip:410@pbx.example.org>;tag=5D0A9B3C-7E21F60A\r
To: <sip:+33145670000@pbx.example.org;user=phone>\r
CSeq: 1 INVITE\r
Call-ID: c1d9b7f2-38aa51b0-7de0f7c4@203.0.113.44\r
Contact: <sip:410@203.0.113.44>\r
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, SUBSCRIBE, NOTIFY, PRACK, UPDATE, REFER\r
User-Agent: DeskPhone-DP_450/4.0.2.1188\r
Accept-Language: en\r
Supported: 100rel,replaces\r
Allow-Events: conference,talk,hold\r
Max-Forwards: 70\r
Content-Type: application/sdp\r
Content-Length: 123\r
\r
v=0\r
o=- 1795 1795 IN IP4 203.0.113.44\r
s=DeskPhone\r
c=IN IP4 203.0.113.44\r
t=0 0\r
m=audio 2232 RTP/AVP 9 0 8\r
a=sendrecv\r
";

const CALL_COMPACT: &str = "\
INVITE sip:00972599000000@198.51.100.20 SIP/2.0\r
v: SIP/2.0/UDP 203.0.113.45:5060;branch=z9hG4bK1f;rport\r
f: <sip:100@198.51.100.20>;tag=as1f\r
t: <sip:00972599000000@198.51.100.20>\r
i: 1f77a0c@203.0.113.45\r
m: <sip:100@203.0.113.45>\r
CSeq: 102 INVITE\r
User-Agent: tiny\r
c: application/sdp\r
k: replaces\r
l: 0\r
\r
";

const CALL_FOLDED: &str = "\
INVITE sip:011441904000000@198.51.100.20 SIP/2.0\r
Via: SIP/2.0/UDP 203.0.113.46:5062\r
 ;branch=z9hG4bKfold9;rport\r
Via: SIP/2.0/UDP 192.168.7.7:5060;branch=z9hG4bKinner\r
Max-Forwards: 69\r
From: \"A. \\\"Quoted\\\" Name\" <sip:2002@203.0.113.46>\r
\t;tag=fold\r
To: <sip:011441904000000@198.51.100.20>\r
Call-ID: fold-33@203.0.113.46\r
CSeq: 33 INVITE\r
Subject: a line\r
  that goes on\r
Contact: <sip:2002@203.0.113.46:5062>\r
User-Agent: folder/1.0\r
Content-Length: 0\r
\r
";

const ACK: &str = "\
ACK sip:900442071230000@198.51.100.20 SIP/2.0\r
Via: SIP/2.0/UDP 203.0.113.43:5070;branch=z9hG4bK-524287-1---a1b2c3d4e5f60718;rport\r
Max-Forwards: 70\r
To: <sip:900442071230000@198.51.100.20;transport=UDP>;tag=8f14e45fceea167a\r
From: <sip:9000@198.51.100.20;transport=UDP>;tag=c0ffee42\r
Call-ID: bH7pQ2Lr9sT0uVwX1yZ3aB..\r
CSeq: 1 ACK\r
Content-Length: 0\r
\r
";

/// `count` of `messages`, each about as often as the others, in an order that no predictor learns
/// and that is the same every time.
#[must_use]
pub fn shuffled<T: Clone>(messages: &[T], count: usize) -> Vec<T> {
    let mut order: Vec<T> = messages.iter().cycle().take(count).cloned().collect();
    let mut random = Mixer::default();
    // Fisher and Yates.
    for i in (1..order.len()).rev() {
        order.swap(i, (random.next() % (i as u64 + 1)) as usize);
    }
    order
}

/// Writes other digits into every run of five or more: telephone numbers, tags, branches and
/// Call-IDs differ from message to message, while addresses, ports and lengths stay as they are.
pub fn redraw_digits(messages: &mut [Vec<u8>]) {
    const RUN: usize = 5;
    let mut random = Mixer::default();
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    for run in messages.iter_mut().flat_map(|m| m.chunk_by_mut(|a, b| is_digit(a) == is_digit(b))) {
        if run.len() >= RUN && is_digit(&run[0]) {
            run.fill_with(|| b'0' + (random.next() % 10) as u8);
        }
    }
}

/// A generator that is good enough to mix, and the same every time: xorshift64 (Marsaglia).
struct Mixer(u64);

impl Default for Mixer {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Mixer {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_has_one_head_and_the_body_that_it_says() {
        for message in MESSAGES {
            let (head, body) = message.split_once("\r\n\r\n").unwrap();
            let length = head.lines().find_map(|line| {
                let line = line.to_ascii_lowercase();
                line.strip_prefix("content-length: ")
                    .or(line.strip_prefix("l: "))
                    .map(str::to_owned)
            });
            assert_eq!(length.unwrap(), body.len().to_string(), "{head}");
            assert!(!message.replace("\r\n", "").contains(['\r', '\n']));
        }
    }

    #[test]
    fn shuffling_keeps_every_message_and_changes_the_order() {
        let numbers: Vec<u32> = (0..8).collect();
        let order = shuffled(&numbers, 1_024);
        assert!(numbers.iter().all(|n| order.iter().filter(|m| *m == n).count() == 128));
        assert_ne!(order[..8], numbers[..]);
        assert_eq!(order, shuffled(&numbers, 1_024));
    }

    #[test]
    fn only_long_runs_of_digits_change() {
        let mut messages = vec![b"sip:0044123@192.0.2.10:5060;x=12345".to_vec(); 2];
        redraw_digits(&mut messages);
        assert_ne!(messages[0], messages[1]);
        for message in messages {
            let text = String::from_utf8(message).unwrap();
            let (number, rest) = text.strip_prefix("sip:").unwrap().split_once('@').unwrap();
            assert!(number.len() == 7 && number.parse::<u32>().is_ok(), "{number}");
            assert!(rest.starts_with("192.0.2.10:5060;x=") && rest.len() == 23, "{rest}");
        }
    }
}
