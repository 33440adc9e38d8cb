//! What no phone sends: broken messages as datagrams and on connections, connections that end in the
//! middle, and nonsense for the API.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::messages::MESSAGES;
use crate::mmsg::{self, Datagram};

/// How long to wait between two attacks.
const PAUSE: Duration = Duration::from_millis(20);
/// How long an answer is listened for.
const PATIENCE: Duration = Duration::from_millis(50);
/// Different broken messages, each from an address of its own: few enough that a node has soon seen all of
/// them, and takes no more memory for new ones.
const VARIETY: usize = 4_000;
/// Most bytes of a datagram.
const DATAGRAM_BYTES_MAX: usize = 60_000;

/// Random numbers that are the same every time (xorshift).
pub struct Random(u64);

impl Random {
    /// From a seed, which may be anything.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Those of one of many, far from those of its neighbours.
    fn of(which: u32) -> Self {
        Self::new((u64::from(which) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound as u64) as usize
    }
}

/// A message with something wrong in it.
#[must_use]
pub fn broken(random: &mut Random) -> Vec<u8> {
    let mut bytes = MESSAGES[random.below(MESSAGES.len())].as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len().max(1)).min(bytes.len());
        match random.below(7) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = random.draw() as u8,
            2 => drop(bytes.drain(at..(at + random.below(40)).min(bytes.len()))),
            3 => drop(bytes.splice(at..at, *b"\r\n\r\n")),
            4 => drop(bytes.splice(at..at, std::iter::repeat_n(b',', random.below(20_000)))),
            5 => drop(
                bytes.splice(at..at, std::iter::repeat_n(random.draw() as u8, random.below(300))),
            ),
            _ => {
                let copy = bytes[..at].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes.truncate(DATAGRAM_BYTES_MAX);
    bytes
}

/// Attacks until told to end. How many datagrams it sent.
///
/// # Errors
///
/// If no datagram can be sent.
pub fn attack(sip: u16, http: [u16; 2], seed: u64, ends: &AtomicBool) -> std::io::Result<u64> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let target = SocketAddrV4::new(Ipv4Addr::LOCALHOST, sip);
    let (mut random, mut sent) = (Random::new(seed), 0);
    while !ends.load(Ordering::Relaxed) {
        let datagrams: Vec<Datagram> = (0..8)
            .map(|_| {
                let which = random.below(VARIETY) as u32;
                let source = Ipv4Addr::from(0x7f63_0001 + which);
                Datagram { source, bytes: broken(&mut Random::of(which)) }
            })
            .collect();
        sent += mmsg::send(&socket, target, &datagrams)? as u64;
        // Plain SIP, TLS and both fronts get the same treatment.
        for port in [sip, sip + 1, http[0], http[1]] {
            let which = random.below(VARIETY) as u32;
            connection(port, &mut Random::of(which));
        }
        thread::sleep(PAUSE);
    }
    Ok(sent)
}

/// Connects, says something, and may go without listening. That it is refused is no error: the node
/// may be starting.
fn connection(port: u16, random: &mut Random) {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let bytes = match random.below(4) {
        0 => Vec::new(),
        1 => (0..random.below(3_000)).map(|_| random.draw() as u8).collect(),
        2 => format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", random.draw()).into_bytes(),
        _ => broken(random),
    };
    let _ = stream.write_all(&bytes);
    if random.below(2) == 0 {
        let _ = stream.read(&mut [0; 4_096]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn broken_messages_are_many_and_fit_into_a_datagram() {
        let mut random = Random::new(7);
        let messages: Vec<Vec<u8>> = (0..1_000).map(|_| broken(&mut random)).collect();
        assert!(messages.iter().all(|message| message.len() <= DATAGRAM_BYTES_MAX));
        assert!(messages.iter().collect::<HashSet<_>>().len() > 900);
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let three = |seed| {
            let mut random = Random::new(seed);
            [random.draw(), random.draw(), random.draw()]
        };
        assert_eq!(three(5), three(5));
        assert_ne!(three(5), three(9));
        assert_ne!(three(0), [0, 0, 0]);
    }
}
