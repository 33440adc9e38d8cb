//! The session description in the answer to an INVITE: it takes up one audio stream of the offer
//! and declines the rest, stream by stream (RFC 3264, section 6), or offers one itself.

use std::io::Write;
use std::net::IpAddr;

use crate::limits::{SDP_MEDIA_MAX, SDP_WORD_BYTES_MAX};

/// Payload types that need no mapping (RFC 3551, table 4) and that telephones speak: G.711 in both
/// kinds, G.722, G.729.
const AUDIO: [&[u8]; 4] = [b"0", b"8", b"9", b"18"];

/// Longest description that [`describe`] writes, in bytes: 200 for the session, and for each stream
/// three words, a direction, and what stands between them.
pub const DESCRIPTION_BYTES_MAX: usize = 200 + SDP_MEDIA_MAX * (3 * SDP_WORD_BYTES_MAX + 32);

/// The offer shares nothing with us, or has more streams than are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCommonMedia;

/// What a description says of whoever made it.
#[derive(Clone, Copy, Debug)]
pub struct Face<'a> {
    /// The username of the `o=` line.
    pub origin: &'a str,
    /// The `s=` line.
    pub name: &'a str,
    /// Where media are to be sent.
    pub ip: IpAddr,
    /// The port for them.
    pub port: u16,
}

/// Writes our description to `out`, which has room for [`DESCRIPTION_BYTES_MAX`]: an answer if
/// `offer` describes media, an offer otherwise.
///
/// # Errors
///
/// [`NoCommonMedia`] if none of the offered streams is audio that we speak; what was written by then
/// is of no use.
pub fn describe(offer: &[u8], face: Face<'_>, out: &mut impl Write) -> Result<(), NoCommonMedia> {
    let Face { origin, name, ip, port } = face;
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    let _ = write!(
        out,
        "v=0\r\no={origin} {port} {port} IN {family} {ip}\r\ns={name}\r\nc=IN {family} {ip}\r\nt=0 0\r\n"
    );
    let (mut accepted, mut seen) = (false, 0);
    for stream in Streams::of(offer) {
        seen += 1;
        if seen > SDP_MEDIA_MAX {
            return Err(NoCommonMedia);
        }
        match if accepted { None } else { stream.common_format() } {
            Some(format) => {
                accept(format, port, stream.direction, out);
                accepted = true;
            }
            None => stream.decline(out),
        }
    }
    if seen == 0 {
        let _ = write!(out, "m=audio {port} RTP/AVP 0 8\r\n");
    } else if !accepted {
        return Err(NoCommonMedia);
    }
    Ok(())
}

/// What may flow in a stream, as its offerer sees it (RFC 4566, section 6).
#[derive(Clone, Copy)]
enum Direction {
    Both,
    SendOnly,
    ReceiveOnly,
    Inactive,
}

impl Direction {
    fn of(attribute: &[u8]) -> Option<Self> {
        match attribute {
            b"a=sendrecv" => Some(Self::Both),
            b"a=sendonly" => Some(Self::SendOnly),
            b"a=recvonly" => Some(Self::ReceiveOnly),
            b"a=inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// The same from the other side (RFC 3264, section 6.1); nothing says "both".
    fn answered(self) -> &'static [u8] {
        match self {
            Self::Both => b"",
            Self::SendOnly => b"a=recvonly\r\n",
            Self::ReceiveOnly => b"a=sendonly\r\n",
            Self::Inactive => b"a=inactive\r\n",
        }
    }
}

/// One stream of an offer: what follows its `m=`, and its direction.
struct Stream<'a> {
    media: &'a [u8],
    direction: Direction,
}

/// The streams of an offer, in order.
struct Streams<'a> {
    lines: std::iter::Peekable<Lines<'a>>,
    /// What the session says for all of its streams.
    direction: Direction,
}

type Lines<'a> = std::iter::Map<std::slice::Split<'a, u8, fn(&u8) -> bool>, fn(&[u8]) -> &[u8]>;

impl<'a> Streams<'a> {
    fn of(offer: &'a [u8]) -> Self {
        let is_end: fn(&u8) -> bool = |b| *b == b'\n';
        let trim: fn(&[u8]) -> &[u8] = <[u8]>::trim_ascii;
        let mut lines = offer.split(is_end).map(trim).peekable();
        let direction = direction_before_media(&mut lines).unwrap_or(Direction::Both);
        Self { lines, direction }
    }
}

impl<'a> Iterator for Streams<'a> {
    type Item = Stream<'a>;

    fn next(&mut self) -> Option<Stream<'a>> {
        let media = self.lines.next()?.strip_prefix(b"m=")?;
        let direction = direction_before_media(&mut self.lines).unwrap_or(self.direction);
        Some(Stream { media, direction })
    }
}

/// Goes on to the next stream, or to the end, and says which direction was named on the way.
fn direction_before_media(lines: &mut std::iter::Peekable<Lines<'_>>) -> Option<Direction> {
    let mut direction = None;
    while let Some(line) = lines.next_if(|line| !line.starts_with(b"m=")) {
        direction = Direction::of(line).or(direction);
    }
    direction
}

impl<'a> Stream<'a> {
    fn words(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.media.split(|b| *b == b' ').filter(|word| !word.is_empty())
    }

    /// The first format that we speak too, if the stream is audio and wants to flow at all.
    fn common_format(&self) -> Option<&'a [u8]> {
        let mut words = self.words();
        let (kind, port, protocol) = (words.next()?, words.next()?, words.next()?);
        if kind != b"audio" || port == b"0" || protocol != b"RTP/AVP" {
            return None;
        }
        words.find(|format| AUDIO.contains(format))
    }

    /// Port 0 declines.
    fn decline(&self, out: &mut impl Write) {
        let mut words = self.words();
        let kind = word(words.next(), b"audio");
        let protocol = word(words.nth(1), b"RTP/AVP");
        let format = word(words.next(), b"0");
        for part in [b"m=", kind, b" 0 ", protocol, b" ", format, b"\r\n"] {
            let _ = out.write_all(part);
        }
    }
}

fn accept(format: &[u8], port: u16, direction: Direction, out: &mut impl Write) {
    let _ = write!(out, "m=audio {port} RTP/AVP ");
    for part in [format, b"\r\n", direction.answered()] {
        let _ = out.write_all(part);
    }
}

/// The part of a word of the offer that may come back: only what a token or a slash may hold, so that
/// what an attacker wrote does not return as something else; `instead` if nothing may.
fn word<'a>(word: Option<&'a [u8]>, instead: &'a [u8]) -> &'a [u8] {
    let word = word.unwrap_or_default();
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-./+_*".contains(b);
    let end = word.iter().position(|b| !allowed(b)).unwrap_or(word.len());
    if end == 0 { instead } else { &word[..end.min(SDP_WORD_BYTES_MAX)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(offer: &str) -> Result<String, NoCommonMedia> {
        let mut out = Vec::new();
        let face = Face { origin: "-", name: "x", ip: [192, 0, 2, 5].into(), port: 10_000 };
        describe(offer.as_bytes(), face, &mut out)?;
        assert!(out.len() <= DESCRIPTION_BYTES_MAX);
        Ok(String::from_utf8(out).unwrap())
    }

    fn media(offer: &str) -> Vec<String> {
        let lines = answer(offer).unwrap();
        lines.lines().skip_while(|l| !l.starts_with("m=")).map(str::to_owned).collect()
    }

    #[test]
    fn the_first_common_codec_of_the_first_audio_stream_is_taken_up() {
        let text = answer("v=0\r\nm=audio 4000 RTP/AVP 101 8 0\r\n").unwrap();
        assert!(text.ends_with("m=audio 10000 RTP/AVP 8\r\n"), "{text}");
        assert!(text.contains("c=IN IP4 192.0.2.5\r\n"));
    }

    #[test]
    fn every_other_stream_is_declined_in_its_place() {
        assert_eq!(
            media("m=video 4002 RTP/AVP 96\nm=audio 1 RTP/AVP 0\nm=audio 2 RTP/AVP 0\n"),
            ["m=video 0 RTP/AVP 96", "m=audio 10000 RTP/AVP 0", "m=audio 0 RTP/AVP 0"]
        );
    }

    #[test]
    fn a_stream_offered_with_port_0_is_declined() {
        assert_eq!(answer("m=audio 0 RTP/AVP 0\n"), Err(NoCommonMedia));
        assert_eq!(
            media("m=audio 0 RTP/AVP 0\nm=audio 9 RTP/AVP 0\n"),
            ["m=audio 0 RTP/AVP 0", "m=audio 10000 RTP/AVP 0"]
        );
    }

    #[test]
    fn a_direction_is_answered_from_the_other_side() {
        for (offered, answered) in
            [("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")]
        {
            let expected = ["m=audio 10000 RTP/AVP 0".to_owned(), format!("a={answered}")];
            assert_eq!(media(&format!("m=audio 1 RTP/AVP 0\na={offered}\n")), expected);
            assert_eq!(media(&format!("a={offered}\nm=audio 1 RTP/AVP 0\n")), expected);
        }
        assert_eq!(media("a=inactive\nm=audio 1 RTP/AVP 0\na=sendrecv\n").len(), 1);
    }

    #[test]
    fn without_an_offer_we_offer() {
        assert!(answer("").unwrap().ends_with("m=audio 10000 RTP/AVP 0 8\r\n"));
    }

    #[test]
    fn nothing_in_common_or_too_much_of_it_is_said_so() {
        assert_eq!(answer("m=image 9 udptl t38\r\n"), Err(NoCommonMedia));
        let many = "m=audio 1 RTP/AVP 0\n".repeat(SDP_MEDIA_MAX + 1);
        assert_eq!(answer(&many), Err(NoCommonMedia));
    }

    #[test]
    fn hostile_words_of_the_offer_do_not_come_back() {
        let text = answer("m=x\ry 1 RTP/AVP 0\nm=audio 1 RTP/AVP 0\n").unwrap();
        assert!(text.contains("m=x 0 RTP/AVP 0\r\n"), "{text:?}");
        let text = answer("m=\0x y z\nm=audio 1 RTP/AVP 0\n").unwrap();
        assert!(text.contains("m=audio 0 z 0\r\n"), "{text:?}");
        let long = format!("m={0} 1 {0} {0}\nm=audio 1 RTP/AVP 0\n", "x".repeat(5_000));
        assert!(answer(&long).unwrap().len() < 1_000);
    }
}
