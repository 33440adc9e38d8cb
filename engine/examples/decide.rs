//! What a cookie and a decision cost: nanoseconds, the median of many passes.
//!
//! ```text
//! cargo run --release -p sentrypeer-engine --example decide
//! ```

use std::hint::black_box;
use std::time::Instant;

use sentrypeer::honeypot::cookie::{CookieKey, Slot, Way};
use sentrypeer::honeypot::{Asked, Conduct, Honeypot, Path};
use sentrypeer::sip;
use sentrypeer_storage::event::{Time, Transport, Verification};

const PASSES: usize = 200;
const CALLS: u32 = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = CookieKey::from_secret(&[7; 32]);
    let path = Path {
        source: "198.51.100.7:5060".parse()?,
        destination: "192.0.2.1:5060".parse()?,
        transport: Transport::Udp,
    };
    let now = Time(1_795_521_600_000_000_000);
    let slot = Slot::of(now);
    let honeypot = Honeypot::new(Conduct::default(), key.clone());
    let request = |method: &str, to_tag: &str| {
        format!(
            "{method} sip:0046500729221@192.0.2.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-524287-1---a1b2c3d4;rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:100@192.0.2.1>;tag=77fe01\r\n\
             To: <sip:0046500729221@192.0.2.1>{to_tag}\r\nCall-ID: 8Vd0w2XxJ3-kfQ.1@203.0.113.81\r\n\
             CSeq: 1 {method}\r\nContact: <sip:100@198.51.100.7:5060>\r\nUser-Agent: x\r\n\
             Content-Length: 0\r\n\r\n"
        )
    };
    let look = |text: &str| {
        let message = sip::parse(text.as_bytes());
        honeypot.look(&message, &path, Verification::Unverified, now)
    };
    let invite = request("INVITE", "");
    let mut answer = Vec::new();
    let seen = look(&invite);
    let message = sip::parse(invite.as_bytes());
    let asked = Asked { message: &message, path: &path, seen: &seen, now };
    honeypot.answer(asked, 4_096, &mut answer)?;
    let tag = String::from_utf8(sip::parse(&answer).to_tag().unwrap_or_default().to_vec())?;
    let ours = request("BYE", &format!(";tag={tag}"));
    let foreign = request("BYE", ";tag=0f8fad5b-d9cb-469f-a165-70867728950e");

    measure("a tag", || {
        key.tag(path.parties(), Way::Direct, slot, b"8Vd0w2XxJ3-kfQ.1@203.0.113.81", b"77fe01")[0]
    });
    measure("a nonce", || key.nonce(path.parties(), Way::Direct, slot, 0)[0]);
    measure("a look at a new request, parsed", || look(&invite).verification as u8);
    measure("a look at our tag, parsed", || look(&ours).verification as u8);
    measure("a look at a foreign tag, parsed", || look(&foreign).verification as u8);
    measure("a look and an answer, parsed", || {
        answer.clear();
        let message = sip::parse(invite.as_bytes());
        let seen = honeypot.look(&message, &path, Verification::Unverified, now);
        let asked = Asked { message: &message, path: &path, seen: &seen, now };
        let _ = honeypot.answer(asked, 4_096, &mut answer);
        answer.len() as u8
    });
    Ok(())
}

fn measure(name: &str, mut work: impl FnMut() -> u8) {
    let pass = |_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(work());
        }
        start.elapsed().as_nanos() / u128::from(CALLS)
    };
    let mut passes: Vec<u128> = (0..PASSES).map(pass).collect();
    passes.sort_unstable();
    println!("{name:34} {:>6} ns", passes[PASSES / 2]);
}
