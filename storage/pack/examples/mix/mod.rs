//! Messages as scanners and toll-fraud tools send them, made up and the same every time, with the count
//! of the random bits that each of them holds: what no packing can save.
//!
//! Every tool has a layout of its own and draws what such tools draw: tags, branches, Call-IDs, numbers
//! to call, accounts, ports, session ids. What a receiver knows anyway (the source address and port) is
//! not counted.

pub mod hostile;

use std::fmt::Write;
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

/// Which share of the messages are calls with a session description.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// About 500 bytes each.
    Short,
    /// About 630 bytes each.
    Long,
}

/// `count` messages from so many sources, in an order that nobody can guess.
pub fn messages(mix: Mix, count: usize, sources: u32, seed: u64) -> Vec<Message> {
    let mut draw = Draw::new(seed);
    (0..count).map(|_| message(mix, sources, &mut draw)).collect()
}

/// Messages without limit: the same draws, one at a time.
fn message(mix: Mix, sources: u32, draw: &mut Draw) -> Message {
    let source = Ipv4Addr::from_bits(0x2d00_0000 + draw.below(u64::from(sources)) as u32 * 2_654_435 % 0x1000_0000);
    draw.bits = 0.0;
    let tools = match mix {
        Mix::Short => &TOOLS_SHORT[..],
        Mix::Long => &TOOLS_LONG[..],
    };
    let tool = tools[draw.below(tools.len() as u64) as usize];
    let bits = draw.bits;
    let port = if draw.below(2) == 0 { 5060 + draw.below(100) } else { 1024 + draw.below(64_000) };
    draw.bits = bits;
    let source = SocketAddr::new(source.into(), port as u16);
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

type Tool = fn(&mut String, SocketAddr, &mut Draw) -> (&'static str, String);

const TOOLS_SHORT: [Tool; 20] = [
    sipvicious_options,
    sipvicious_options,
    sipvicious_register,
    sipvicious_register,
    eyebeam_register,
    asterisk_options,
    asterisk_options,
    sipsak_options,
    sipsak_options,
    linphone_register,
    random_agent_options,
    random_agent_options,
    vax_invite,
    sipcli_invite,
    pplsip_invite,
    zoiper_register,
    cisco_options,
    nmap_options,
    compact_invite,
    ack,
];

const TOOLS_LONG: [Tool; 18] = [
    sipvicious_options,
    sipvicious_register,
    eyebeam_register,
    polycom_invite,
    vax_invite,
    sipcli_invite,
    pplsip_invite,
    pplsip_invite,
    zoiper_register,
    zoiper_invite,
    zoiper_invite,
    cisco_options,
    asterisk_invite,
    asterisk_invite,
    linphone_register,
    random_agent_options,
    compact_invite,
    ack,
];

const HERE: &str = "198.51.100.23";

macro_rules! put {
    ($to:expr, $($line:expr),+ $(,)?) => {{ $( let _ = write!($to, $line); $to.push_str("\r\n"); )+ }};
}

fn sipvicious_options(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port) = (from.ip(), from.port());
    let (branch, call) = (draw.integer(u32::MAX.into()), draw.decimal(24));
    // The tool writes what it wants to recognise, in hex: the address that it asks, and a number.
    let tag = hex_of(&format!("c6336417{}\u{1}{}", "13c4", draw.decimal(10)));
    put!(
        to,
        "OPTIONS sip:100@{HERE} SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK-{branch};rport",
        "Content-Length: 0",
        "From: \"sipvicious\"<sip:100@1.1.1.1>;tag={tag}",
        "Accept: application/sdp",
        "User-Agent: friendly-scanner",
        "To: \"sipvicious\"<sip:100@1.1.1.1>",
        "Contact: sip:100@{ip}:{port}",
        "CSeq: 1 OPTIONS",
        "Call-ID: {call}",
        "Max-Forwards: 70",
        "",
    );
    ("OPTIONS", "friendly-scanner".to_owned())
}

fn sipvicious_register(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port, account) = (from.ip(), from.port(), draw.extension());
    let (branch, call) = (draw.integer(u32::MAX.into()), draw.integer(u32::MAX.into()));
    let tag = hex_of(&format!("{account}\u{1}{}", draw.decimal(10)));
    put!(
        to,
        "REGISTER sip:{HERE} SIP/2.0",
        "To: \"{account}\" <sip:{account}@{HERE}>",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK-{branch};rport",
        "Max-Forwards: 70",
        "CSeq: 1 REGISTER",
        "From: \"{account}\" <sip:{account}@{HERE}>; tag={tag}",
        "Contact: sip:123@1.1.1.1",
        "Call-ID: {call}",
        "Accept: application/sdp",
        "Content-Length: 0",
        "User-Agent: friendly-request",
        "",
    );
    ("REGISTER", "friendly-request".to_owned())
}

fn eyebeam_register(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port, account) = (from.ip(), from.port(), draw.extension());
    let (branch, tag, call) = (draw.hex(16), draw.hex(8), draw.base62(22));
    let (instance, cseq) = (draw.hex(16), 1 + draw.below(4));
    let _ = write!(
        to,
        "REGISTER sip:{HERE}:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK-d87543-{branch}-1--d87543-;rport\r\n\
         Max-Forwards: 70\r\n\
         Contact: <sip:{account}@{ip}:{port};rinstance={instance}>\r\n\
         To: \"{account}\"<sip:{account}@{HERE}:5060>\r\n\
         From: \"{account}\"<sip:{account}@{HERE}:5060>;tag={tag}\r\n\
         Call-ID: {call}\r\nCSeq: {cseq} REGISTER\r\nExpires: 3600\r\n\
         Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO\r\n\
         User-Agent: eyeBeam release 1102q stamp 51814\r\n"
    );
    // Every other one answers a challenge.
    if draw.below(2) == 0 {
        let (nonce, response) = (draw.hex(8), draw.hex(32));
        put!(
            to,
            "Authorization: Digest username=\"{account}\",realm=\"asterisk\",nonce=\"{nonce}\",uri=\"sip:{HERE}:5060\",response=\"{response}\",algorithm=MD5"
        );
    }
    put!(to, "Content-Length: 0", "");
    ("REGISTER", "eyeBeam release 1102q stamp 51814".to_owned())
}

fn polycom_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port, number, account) = (from.ip(), from.port(), draw.number(), draw.extension());
    let (branch, branch2) = (draw.hex(8), draw.hex(8).to_uppercase());
    let (tag, tag2) = (draw.hex(8).to_uppercase(), draw.hex(8).to_uppercase());
    let call = [draw.hex(8), draw.hex(8), draw.hex(8)].join("-");
    let mut body = String::new();
    session(&mut body, "-", &ip.to_string(), 2222 + 2 * draw.below(64), draw);
    let len = body.len();
    put!(
        to,
        "INVITE sip:{number}@{HERE};user=phone SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK{branch}{branch2}",
        "From: \"{account}\" <sip:{account}@{HERE}>;tag={tag}-{tag2}",
        "To: <sip:{number}@{HERE};user=phone>",
        "CSeq: 1 INVITE",
        "Call-ID: {call}@{ip}",
        "Contact: <sip:{account}@{ip}:{port}>",
        "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, SUBSCRIBE, NOTIFY, PRACK, UPDATE, REFER",
        "User-Agent: PolycomVVX-VVX_401-UA/5.8.1.7389",
        "Accept-Language: en",
        "Supported: 100rel,replaces",
        "Allow-Events: conference,talk,hold",
        "Max-Forwards: 70",
        "Content-Type: application/sdp",
        "Content-Length: {len}",
        "",
    );
    to.push_str(&body);
    ("INVITE", "PolycomVVX-VVX_401-UA/5.8.1.7389".to_owned())
}

fn vax_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port, number, account) = (from.ip(), from.port(), draw.number(), draw.extension());
    let (branch, tag, call) = (draw.hex(8), draw.hex(8), draw.hex(32));
    let mut body = String::new();
    session(&mut body, "VaxSoft", &ip.to_string(), 10_000 + 2 * draw.below(5_000), draw);
    let len = body.len();
    put!(
        to,
        "INVITE sip:{number}@{HERE} SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};rport;branch=z9hG4bK{branch}",
        "From: \"{account}\"<sip:{account}@{HERE}>;tag={tag}",
        "To: <sip:{number}@{HERE}>",
        "Call-ID: {call}@{ip}",
        "Contact: <sip:{account}@{ip}:{port}>",
        "CSeq: 100 INVITE",
        "Max-Forwards: 70",
        "User-Agent: VaxSIPUserAgent/3.5",
        "Content-Type: application/sdp",
        "Content-Length: {len}",
        "",
    );
    to.push_str(&body);
    ("INVITE", "VaxSIPUserAgent/3.5".to_owned())
}

fn sipcli_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port, number, account) = (from.ip(), from.port(), draw.number(), draw.extension());
    let (call, tag) = (draw.hex(32), draw.hex(8));
    let mut body = String::new();
    session(&mut body, "sipcli-Session", &ip.to_string(), 5_000 + draw.below(60_000), draw);
    let len = body.len();
    put!(
        to,
        "INVITE sip:{number}@{HERE} SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK-{call};rport",
        "From: {account} <sip:{account}@{HERE}>;tag={tag}",
        "To: {number} <sip:{number}@{HERE}>",
        "Call-ID: {call}",
        "CSeq: 1 INVITE",
        "Contact: <sip:{account}@{ip}:{port}>",
        "Max-Forwards: 70",
        "Allow: INVITE, ACK, CANCEL, BYE",
        "User-Agent: sipcli/v1.8",
        "Content-Type: application/sdp",
        "Content-Length: {len}",
        "",
    );
    to.push_str(&body);
    ("INVITE", "sipcli/v1.8".to_owned())
}

fn pplsip_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port, number, account) = (from.ip(), from.port(), draw.number(), draw.extension());
    let (branch, tag, call) = (draw.hex(16), draw.hex(8), draw.base62(22));
    let mut body = String::new();
    session(&mut body, "Z", &ip.to_string(), 8_000 + draw.below(200), draw);
    let len = body.len();
    put!(
        to,
        "INVITE sip:{number}@{HERE}:5060;transport=UDP SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK-524287-1---{branch};rport",
        "Max-Forwards: 70",
        "Contact: <sip:{account}@{ip}:{port};transport=UDP>",
        "To: <sip:{number}@{HERE}>",
        "From: <sip:{account}@{HERE};transport=UDP>;tag={tag}",
        "Call-ID: {call}..",
        "CSeq: 1 INVITE",
        "Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE",
        "Content-Type: application/sdp",
        "User-Agent: pplsip",
        "Allow-Events: presence, kpml, talk",
        "Content-Length: {len}",
        "",
    );
    to.push_str(&body);
    ("INVITE", "pplsip".to_owned())
}

const ZOIPER: [&str; 3] = ["Z 5.4.12 v2.10.13.2", "Z 5.5.8 v2.10.18.2", "Z 3.15.40006 rv2.8.20"];

fn zoiper_register(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port, account) = (from.ip(), from.port(), draw.account());
    let agent = ZOIPER[draw.below(3) as usize];
    let (branch, tag, call, instance) =
        (draw.hex(16), draw.hex(8), draw.base62(22), draw.hex(16));
    put!(
        to,
        "REGISTER sip:{HERE};transport=UDP SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK-524287-1---{branch};rport",
        "Max-Forwards: 70",
        "Contact: <sip:{account}@{ip}:{port};rinstance={instance};transport=UDP>",
        "To: <sip:{account}@{HERE};transport=UDP>",
        "From: <sip:{account}@{HERE};transport=UDP>;tag={tag}",
        "Call-ID: {call}..",
        "CSeq: 1 REGISTER",
        "Expires: 60",
        "Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE",
        "User-Agent: {agent}",
        "Allow-Events: presence, kpml, talk",
        "Content-Length: 0",
        "",
    );
    ("REGISTER", agent.to_owned())
}

fn zoiper_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (port, number, account) = (from.port(), draw.number(), draw.extension());
    // Behind a router: what it says of itself is a private address.
    let ip = format!("192.168.{}.{}", draw.below(4), 2 + draw.below(250));
    let agent = ZOIPER[draw.below(3) as usize];
    let (branch, tag, call) = (draw.hex(16), draw.hex(8), draw.base62(22));
    let mut body = String::new();
    session(&mut body, "Z", &ip, 49_152 + draw.below(16_000), draw);
    let len = body.len();
    put!(
        to,
        "INVITE sip:{number}@{HERE};transport=UDP SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK-524287-1---{branch};rport",
        "Max-Forwards: 70",
        "Contact: <sip:{account}@{ip}:{port};transport=UDP>",
        "To: <sip:{number}@{HERE};transport=UDP>",
        "From: <sip:{account}@{HERE};transport=UDP>;tag={tag}",
        "Call-ID: {call}..",
        "CSeq: 1 INVITE",
        "Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE",
        "Content-Type: application/sdp",
        "User-Agent: {agent}",
        "Allow-Events: presence, kpml, talk",
        "Content-Length: {len}",
        "",
    );
    to.push_str(&body);
    ("INVITE", agent.to_owned())
}

fn cisco_options(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port) = (from.ip(), from.port());
    let (branch, tag) = (draw.hex(10).to_uppercase(), draw.hex(8).to_uppercase());
    let call = [draw.hex(8), draw.hex(8), draw.hex(8), draw.hex(8)].join("-").to_uppercase();
    let (cseq, low) = (101 + draw.below(3), draw.hex(4).to_uppercase());
    put!(
        to,
        "OPTIONS sip:{HERE}:5060 SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK{branch}",
        "From: <sip:{ip}>;tag={tag}-{low}",
        "To: <sip:{HERE}>",
        "Call-ID: {call}@{ip}",
        "User-Agent: Cisco-SIPGateway/IOS-15.4.3.M2",
        "CSeq: {cseq} OPTIONS",
        "Max-Forwards: 70",
        "Contact: <sip:{ip}:{port}>",
        "Accept: application/sdp",
        "Allow: INVITE, OPTIONS, BYE, CANCEL, ACK, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY, INFO, REGISTER",
        "Content-Length: 0",
        "",
    );
    ("OPTIONS", "Cisco-SIPGateway/IOS-15.4.3.M2".to_owned())
}

const PBX: [&str; 4] = ["Asterisk PBX 13.38.3", "Asterisk PBX 16.2.1~dfsg-1", "FPBX-14.0.16.11(13.38.3)", "FPBX-15.0.37(18.13.0)"];

fn asterisk_options(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port) = (from.ip(), from.port());
    let agent = PBX[draw.below(4) as usize];
    let (branch, tag, call) = (draw.hex(8), draw.hex(8), draw.hex(32));
    put!(
        to,
        "OPTIONS sip:{HERE} SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK{branch};rport",
        "Max-Forwards: 70",
        "From: \"Unknown\" <sip:Unknown@{ip}>;tag=as{tag}",
        "To: <sip:{HERE}>",
        "Contact: <sip:Unknown@{ip}:{port}>",
        "Call-ID: {call}@{ip}:{port}",
        "CSeq: 102 OPTIONS",
        "User-Agent: {agent}",
        "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE",
        "Supported: replaces, timer",
        "Content-Length: 0",
        "",
    );
    ("OPTIONS", agent.to_owned())
}

fn asterisk_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port, number, account) = (from.ip(), from.port(), draw.number(), draw.extension());
    let agent = PBX[draw.below(4) as usize];
    let (branch, tag, call) = (draw.hex(8), draw.hex(8), draw.hex(32));
    let mut body = String::new();
    session(&mut body, "root", &ip.to_string(), 10_000 + 2 * draw.below(5_000), draw);
    let len = body.len();
    put!(
        to,
        "INVITE sip:{number}@{HERE} SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK{branch};rport",
        "Max-Forwards: 70",
        "From: \"{account}\" <sip:{account}@{ip}>;tag=as{tag}",
        "To: <sip:{number}@{HERE}>",
        "Contact: <sip:{account}@{ip}:{port}>",
        "Call-ID: {call}@{ip}:{port}",
        "CSeq: 102 INVITE",
        "User-Agent: {agent}",
        "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE",
        "Supported: replaces, timer",
        "Content-Type: application/sdp",
        "Content-Length: {len}",
        "",
    );
    to.push_str(&body);
    ("INVITE", agent.to_owned())
}

fn sipsak_options(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port) = (from.ip(), from.port());
    let (branch, tag, call) = (draw.hex(8), draw.hex(8), draw.integer(u32::MAX.into()));
    put!(
        to,
        "OPTIONS sip:sipsak@{HERE}:5060 SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK.{branch};rport;alias",
        "From: sip:sipsak@{ip}:{port};tag={tag}",
        "To: sip:sipsak@{HERE}:5060",
        "Call-ID: {call}@{ip}",
        "CSeq: 1 OPTIONS",
        "Contact: sip:sipsak@{ip}:{port}",
        "Content-Length: 0",
        "Max-Forwards: 70",
        "User-Agent: sipsak 0.9.7",
        "Accept: text/plain",
        "",
    );
    ("OPTIONS", "sipsak 0.9.7".to_owned())
}

fn linphone_register(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (port, account) = (from.port(), draw.account());
    let ip = format!("10.0.{}.{}", draw.below(256), 1 + draw.below(254));
    let (branch, tag, call) = (draw.base62(9), draw.base62(9), draw.base62(10));
    let cseq = 20 + draw.below(2);
    let instance = draw.uuid();
    put!(
        to,
        "REGISTER sip:{HERE} SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK.{branch};rport",
        "From: <sip:{account}@{HERE}>;tag={tag}",
        "To: sip:{account}@{HERE}",
        "CSeq: {cseq} REGISTER",
        "Call-ID: {call}",
        "Max-Forwards: 70",
        "Supported: replaces, outbound, gruu",
        "Accept: application/sdp",
        "Accept: text/plain",
        "Accept: application/vnd.gsma.rcs-ft-http+xml",
        "Contact: <sip:{account}@{ip}:{port};transport=udp>;+sip.instance=\"<urn:uuid:{instance}>\"",
        "Expires: 3600",
        "User-Agent: Linphone/3.6.1 (eXosip2/4.1.0)",
        "Content-Length: 0",
        "",
    );
    ("REGISTER", "Linphone/3.6.1 (eXosip2/4.1.0)".to_owned())
}

/// A tool that calls itself something else each time.
fn random_agent_options(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port) = (from.ip(), from.port());
    let agent = draw.base62(12);
    let (branch, tag, call) = (draw.integer(u64::MAX), draw.base62(10), draw.base62(16));
    put!(
        to,
        "OPTIONS sip:{HERE} SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK-{branch};rport",
        "Max-Forwards: 70",
        "To: <sip:{HERE}>",
        "From: <sip:{agent}@{HERE}>;tag={tag}",
        "User-Agent: {agent}",
        "Call-ID: {call}",
        "Contact: <sip:{agent}@{ip}:{port}>",
        "CSeq: 1 OPTIONS",
        "Accept: application/sdp",
        "Content-Length: 0",
        "",
    );
    ("OPTIONS", agent)
}

fn nmap_options(to: &mut String, _: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let _ = draw;
    put!(
        to,
        "OPTIONS sip:nm SIP/2.0",
        "Via: SIP/2.0/TCP nm;branch=foo",
        "From: <sip:nm@nm>;tag=root",
        "To: <sip:nm2@nm2>",
        "Call-ID: 50000",
        "CSeq: 42 OPTIONS",
        "Max-Forwards: 70",
        "Content-Length: 0",
        "Contact: <sip:nm@nm>",
        "Accept: application/sdp",
        "",
    );
    ("OPTIONS", String::new())
}

fn compact_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port, number, account) = (from.ip(), from.port(), draw.number(), draw.extension());
    let (branch, tag, call) = (draw.hex(8), draw.hex(8), draw.decimal(19));
    let mut body = String::new();
    session(&mut body, "root", &ip.to_string(), 10_000 + 2 * draw.below(5_000), draw);
    let len = body.len();
    put!(
        to,
        "INVITE sip:{number}@{HERE} SIP/2.0",
        "v: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK-{branch};rport",
        "f: <sip:{account}@{HERE}>;tag={tag}",
        "t: <sip:{number}@{HERE}>",
        "i: {call}@{ip}",
        "m: <sip:{account}@{ip}:{port}>",
        "k: timer,replaces",
        "CSeq: 102 INVITE",
        "Max-Forwards: 70",
        "c: application/sdp",
        "l: {len}",
        "",
    );
    to.push_str(&body);
    ("INVITE", String::new())
}

fn ack(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (ip, port, number, account) = (from.ip(), from.port(), draw.number(), draw.extension());
    let (call, tag, theirs) = (draw.hex(32), draw.hex(8), draw.hex(16));
    put!(
        to,
        "ACK sip:{number}@{HERE} SIP/2.0",
        "Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK-{call};rport",
        "From: {account} <sip:{account}@{HERE}>;tag={tag}",
        "To: {number} <sip:{number}@{HERE}>;tag={theirs}",
        "Call-ID: {call}",
        "CSeq: 1 ACK",
        "Max-Forwards: 70",
        "Content-Length: 0",
        "",
    );
    ("ACK", String::new())
}

/// A session description (RFC 8866) with some audio codecs.
fn session(to: &mut String, name: &str, ip: &str, port: u64, draw: &mut Draw) {
    let id = draw.integer(u32::MAX.into());
    put!(
        to,
        "v=0",
        "o={name} {id} {id} IN IP4 {ip}",
        "s={name}",
        "c=IN IP4 {ip}",
        "t=0 0",
        "m=audio {port} RTP/AVP 0 8 18 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:18 G729/8000",
        "a=fmtp:101 0-16",
        "a=rtpmap:101 telephone-event/8000",
        "a=sendrecv",
    );
}

fn hex_of(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Draws, and counts what was drawn.
pub struct Draw {
    state: u64,
    bits: f64,
}

impl Draw {
    fn new(seed: u64) -> Self {
        Self { state: seed | 1, bits: 0.0 }
    }

    /// xorshift64*, by Vigna.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits += (limit as f64).log2();
        (u128::from(self.next()) * u128::from(limit) >> 64) as u64
    }

    fn integer(&mut self, most: u64) -> u64 {
        self.below(most)
    }

    fn of(&mut self, characters: &[u8], len: usize) -> String {
        (0..len).map(|_| char::from(characters[self.below(characters.len() as u64) as usize])).collect()
    }

    fn hex(&mut self, len: usize) -> String {
        self.of(b"0123456789abcdef", len)
    }

    fn decimal(&mut self, len: usize) -> String {
        self.of(b"0123456789", len)
    }

    fn base62(&mut self, len: usize) -> String {
        self.of(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", len)
    }

    fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|len| self.hex(len)).join("-")
    }

    /// An account by number: most have three or four digits.
    fn extension(&mut self) -> u64 {
        match self.below(4) {
            0 => 100 + self.below(100),
            1 => 1000 + self.below(20),
            _ => 100 + self.below(9_900),
        }
    }

    fn account(&mut self) -> String {
        const NAMES: [&str; 16] = [
            "admin", "test", "user", "phone", "reception", "sales", "support", "voip", "sip",
            "office", "guest", "operator", "pbx", "trunk", "demo", "security",
        ];
        if self.below(4) == 0 {
            NAMES[self.below(16) as usize].to_owned()
        } else {
            self.extension().to_string()
        }
    }

    /// A number to call: a prefix that may lead out, and one of some favourites or any number of a few
    /// countries.
    fn number(&mut self) -> String {
        const PREFIXES: [&str; 12] =
            ["00", "+", "011", "9011", "900", "000", "0", "", "90011", "0011", "700", "00900"];
        const COUNTRIES: [&str; 8] = ["44", "46", "972", "48", "1", "370", "252", "44208"];
        let prefix = PREFIXES[self.below(12) as usize];
        if self.below(2) == 0 {
            return format!("{prefix}{}", 44_123_400_000 + 7_777_777 * self.below(60));
        }
        format!("{prefix}{}{}", COUNTRIES[self.below(8) as usize], self.decimal(9))
    }
}
