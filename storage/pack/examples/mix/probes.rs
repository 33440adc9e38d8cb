//! What looks for devices and accounts: OPTIONS and REGISTER.

use std::fmt::Write;
use std::net::SocketAddr;

use super::{Draw, HERE, PBX, ZOIPER, put};

pub fn sipvicious_options(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
    let (ip, port) = (from.ip(), from.port());
    let (branch, call) = (draw.integer32(), draw.decimal(24));
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

pub fn sipvicious_register(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
    let (ip, port, account) = (from.ip(), from.port(), draw.extension());
    let (branch, call) = (draw.integer32(), draw.integer32());
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

pub fn eyebeam_register(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
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

pub fn zoiper_register(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
    let (ip, port, account) = (from.ip(), from.port(), draw.account());
    let agent = draw.pick(&ZOIPER);
    let (branch, tag, call, instance) = (draw.hex(16), draw.hex(8), draw.base62(22), draw.hex(16));
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

pub fn cisco_options(to: &mut String, from: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
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

pub fn asterisk_options(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
    let (ip, port) = (from.ip(), from.port());
    let agent = draw.pick(&PBX);
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

pub fn sipsak_options(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
    let (ip, port) = (from.ip(), from.port());
    let (branch, tag, call) = (draw.hex(8), draw.hex(8), draw.integer32());
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

pub fn linphone_register(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
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
pub fn random_agent_options(
    to: &mut String,
    from: SocketAddr,
    draw: &mut Draw,
) -> (&'static str, String) {
    let (ip, port) = (from.ip(), from.port());
    let agent = draw.base62(12);
    let (branch, tag, call) = (draw.below(u64::MAX), draw.base62(10), draw.base62(16));
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

pub fn nmap_options(to: &mut String, _: SocketAddr, draw: &mut Draw) -> (&'static str, String) {
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

fn hex_of(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
