//! Messages that are made to be packed slowly or badly.

use super::{Draw, Message, Mix};

/// Makes an honest message hostile.
pub type Spoil = fn(&mut Message, &mut Draw);

/// The kinds of them, each with its name.
pub const KINDS: [(&str, Spoil); 12] = [
    ("a random user agent in each", random_agent),
    ("another user agent, all else the same", only_agent),
    ("500 random bytes", random_bytes),
    ("60 KB, alike but for some tokens", long_alike),
    ("60 KB of random letters", long_random),
    ("every token is another word", other_words),
    ("every token is another hex number", other_hex),
    ("one letter, one space", letters),
    ("like a template but for the end", other_end),
    ("lines in random order", shuffled_lines),
    ("lines of one letter", short_lines),
    ("16 KB of short lines", many_lines),
];

/// Messages of a kind, of so many bytes in all.
pub fn messages(kind: Spoil, bytes: usize) -> Vec<Message> {
    let (mut draw, mut sum) = (Draw::new(5), 0);
    let mut honest = Draw::new(3);
    let spoilt = std::iter::repeat_with(|| {
        let mut message = super::message(Mix::Long, 10_000, &mut honest);
        kind(&mut message, &mut draw);
        message
    });
    let enough = spoilt.take_while(|message| {
        sum += message.bytes.len();
        sum <= bytes
    });
    enough.collect()
}

fn random_agent(message: &mut Message, draw: &mut Draw) {
    let text = String::from_utf8_lossy(&message.bytes).into_owned();
    let agent = draw.base62(24);
    if !message.user_agent.is_empty() {
        message.bytes = text.replace(&message.user_agent, &agent).into_bytes();
    }
    message.user_agent = agent;
}

fn fixed(message: &mut Message, text: String) {
    message.bytes = text.into_bytes();
    message.method = "OPTIONS";
    message.user_agent.clear();
}

fn only_agent(message: &mut Message, draw: &mut Draw) {
    let agent = draw.base62(20);
    fixed(message, format!("{HEAD}User-Agent: {agent}\r\nContent-Length: 0\r\n\r\n"));
    message.user_agent = agent;
}

const HEAD: &str = "OPTIONS sip:100@198.51.100.23 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.7:5063;\
branch=z9hG4bK-1843270519;rport\r\nMax-Forwards: 70\r\nTo: \"sipvicious\"<sip:100@1.1.1.1>\r\nFrom: \
\"sipvicious\"<sip:100@1.1.1.1>;tag=6336333337313762313363340132383335393436373534\r\nCall-ID: \
742361804192376815284701\r\nContact: sip:100@203.0.113.7:5063\r\nCSeq: 1 OPTIONS\r\nAccept: \
application/sdp\r\n";

fn random_bytes(message: &mut Message, draw: &mut Draw) {
    message.bytes = (0..500).map(|_| draw.below(256) as u8).collect();
    message.method = "";
    message.user_agent.clear();
}

fn long_alike(message: &mut Message, draw: &mut Draw) {
    let mut text = HEAD.to_owned();
    while text.len() < 60_000 {
        text += &format!("X-Header: some words that are always the same;tag={}\r\n", draw.hex(8));
    }
    fixed(message, text);
}

fn long_random(message: &mut Message, draw: &mut Draw) {
    let text = draw.base62(60_000);
    fixed(message, text);
}

/// The same layout, each token redrawn.
fn redrawn(draw: &mut Draw, token: impl Fn(&mut Draw, usize) -> String) -> String {
    let mut text = String::new();
    let is_in = |c: &char| c.is_ascii_alphanumeric();
    let characters: Vec<char> = HEAD.chars().collect();
    for run in characters.chunk_by(|a, b| is_in(a) == is_in(b)) {
        if is_in(&run[0]) {
            text += &token(draw, run.len());
        } else {
            text.extend(run);
        }
    }
    text
}

fn other_words(message: &mut Message, draw: &mut Draw) {
    let text = redrawn(draw, Draw::letters);
    fixed(message, text);
}

fn other_hex(message: &mut Message, draw: &mut Draw) {
    let text = redrawn(draw, Draw::hex);
    fixed(message, text);
}

fn letters(message: &mut Message, draw: &mut Draw) {
    let text = (0..300).map(|_| draw.letters(1) + " ").collect();
    fixed(message, text);
}

fn other_end(message: &mut Message, draw: &mut Draw) {
    let mut text = String::new();
    for n in 0..20 {
        text += &format!("X-{n}: some words;tag={}\r\n", draw.hex(6));
    }
    text += &draw.base62(300);
    fixed(message, text);
}

fn shuffled_lines(message: &mut Message, draw: &mut Draw) {
    let mut lines: Vec<&str> = HEAD.split_inclusive("\r\n").collect();
    for n in (2..lines.len()).rev() {
        lines.swap(n, 1 + draw.below(n as u64) as usize);
    }
    let text = lines.concat() + "\r\n";
    fixed(message, text);
}

fn short_lines(message: &mut Message, draw: &mut Draw) {
    let text = (0..300).map(|_| draw.letters(1) + "\n").collect();
    fixed(message, text);
}

fn many_lines(message: &mut Message, draw: &mut Draw) {
    let text = (0..5_000).map(|_| draw.letters(1) + "\r\n").collect();
    fixed(message, text);
}
