//! What tries to call: INVITE with a session description, and ACK.

use std::fmt::Write;
use std::net::SocketAddr;

use super::{Draw, HERE, PBX, ZOIPER, put};

pub fn polycom_invite(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
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

pub fn vax_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
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

pub fn sipcli_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
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

pub fn pplsip_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
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

pub fn zoiper_invite(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
    let (port, number, account) = (from.port(), draw.number(), draw.extension());
    // Behind a router: what it says of itself is a private address.
    let ip = format!("192.168.{}.{}", draw.below(4), 2 + draw.below(250));
    let agent = draw.pick(&ZOIPER);
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

pub fn asterisk_invite(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
    let (ip, port, number, account) = (from.ip(), from.port(), draw.number(), draw.extension());
    let agent = draw.pick(&PBX);
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

pub fn compact_invite(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
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

pub fn ack(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
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
    let id = draw.integer32();
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
