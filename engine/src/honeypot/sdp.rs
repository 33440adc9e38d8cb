//! The session description in the answer to an INVITE: it takes up one audio stream of the offer
//! and declines the rest (RFC 3264, section 6), or offers one itself.

use std::io::Write;
use std::net::IpAddr;

use crate::limits::SDP_MEDIA_MAX;

/// Payload types that need no mapping (RFC 3551, table 4) and that telephones speak: G.711 in both
/// kinds, G.722, G.729.
const AUDIO: [(&[u8], &str); 4] = [(b"0", "0"), (b"8", "8"), (b"9", "9"), (b"18", "18")];

/// Longest description that [`describe`] writes, in bytes: 200 for the session, and for each stream
/// three words of [`WORD_BYTES_MAX`] and what stands between them.
pub const DESCRIPTION_BYTES_MAX: usize = 200 + SDP_MEDIA_MAX * (3 * WORD_BYTES_MAX + 12);

/// Longest word of an offer that comes back in the answer.
const WORD_BYTES_MAX: usize = 32;

/// The offer shares nothing with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCommonMedia;

/// Writes our description to `out`, which has room for [`DESCRIPTION_BYTES_MAX`]: an answer if
/// `offer` describes media, an offer otherwise.
///
/// # Errors
///
/// [`NoCommonMedia`] if none of the offered streams is audio that we speak; what was written by then
/// is of no use.
pub fn describe(
    offer: &[u8],
    ip: IpAddr,
    port: u16,
    out: &mut impl Write,
) -> Result<(), NoCommonMedia> {
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    let _ = write!(
        out,
        "v=0\r\no=- {port} {port} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n"
    );
    let mut accepted = false;
    let mut seen = 0;
    for media in media_lines(offer).take(SDP_MEDIA_MAX) {
        seen += 1;
        accepted |= answer_media(media, port, accepted, out);
    }
    if seen == 0 {
        let _ = write!(out, "m=audio {port} RTP/AVP 0 8\r\n");
    } else if !accepted {
        return Err(NoCommonMedia);
    }
    Ok(())
}

/// What follows `m=` on each line that describes a stream.
fn media_lines(offer: &[u8]) -> impl Iterator<Item = &[u8]> {
    offer.split(|b| *b == b'\n').filter_map(|line| line.trim_ascii().strip_prefix(b"m="))
}

/// Answers one stream, and says whether it was taken up.
fn answer_media(media: &[u8], port: u16, taken: bool, out: &mut impl Write) -> bool {
    let mut fields = media.split(|b| *b == b' ').filter(|f| !f.is_empty());
    let (kind, _port, protocol) = (fields.next(), fields.next(), fields.next());
    let mut formats = fields;
    let ours = if !taken && kind == Some(b"audio") && protocol == Some(b"RTP/AVP") {
        formats.clone().find_map(|f| AUDIO.iter().find(|(offered, _)| *offered == f))
    } else {
        None
    };
    if let Some((_, format)) = ours {
        let _ = write!(out, "m=audio {port} RTP/AVP {format}\r\n");
        return true;
    }
    let kind = word(kind.unwrap_or(b"audio"));
    let protocol = word(protocol.unwrap_or(b"RTP/AVP"));
    let format = word(formats.next().unwrap_or(b"0"));
    for part in [b"m=", kind, b" 0 ", protocol, b" ", format, b"\r\n"] {
        let _ = out.write_all(part);
    }
    false
}

/// The part of a word of the offer that may come back: only what a token or a slash may hold, so that
/// what an attacker wrote does not return as something else.
fn word(word: &[u8]) -> &[u8] {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-./+_*".contains(b);
    let end = word.iter().position(|b| !allowed(b)).unwrap_or(word.len());
    &word[..end.min(WORD_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(offer: &str) -> Result<String, NoCommonMedia> {
        let mut out = Vec::new();
        describe(offer.as_bytes(), [192, 0, 2, 5].into(), 10_000, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_first_common_codec_of_the_first_audio_stream_is_taken_up() {
        let text = answer("v=0\r\nm=audio 4000 RTP/AVP 101 8 0\r\n").unwrap();
        assert!(text.ends_with("m=audio 10000 RTP/AVP 8\r\n"), "{text}");
        assert!(text.contains("c=IN IP4 192.0.2.5\r\n"));
    }

    #[test]
    fn every_other_stream_is_declined_in_its_place() {
        let text =
            answer("m=video 4002 RTP/AVP 96\nm=audio 1 RTP/AVP 0\nm=audio 2 RTP/AVP 0\n").unwrap();
        let media: Vec<&str> = text.lines().filter(|l| l.starts_with("m=")).collect();
        assert_eq!(
            media,
            ["m=video 0 RTP/AVP 96", "m=audio 10000 RTP/AVP 0", "m=audio 0 RTP/AVP 0"]
        );
    }

    #[test]
    fn without_an_offer_we_offer() {
        assert!(answer("").unwrap().ends_with("m=audio 10000 RTP/AVP 0 8\r\n"));
    }

    #[test]
    fn nothing_in_common_is_said_so() {
        assert_eq!(answer("m=image 9 udptl t38\r\n"), Err(NoCommonMedia));
    }

    #[test]
    fn hostile_words_of_the_offer_do_not_come_back() {
        let text = answer("m=x\ry 1 RTP/AVP 0\nm=audio 1 RTP/AVP 0\n").unwrap();
        assert!(text.contains("m=x 0 RTP/AVP 0\r\n"), "{text:?}");
    }
}
