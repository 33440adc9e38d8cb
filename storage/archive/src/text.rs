//! What an attacker sent, as text that harms nobody who reads it.

use std::borrow::Cow;

/// The bytes as text: what is no UTF-8 becomes U+FFFD, as in the JSON log.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The same without NUL, which becomes U+FFFD: many programs that read an SQLite file take it for the
/// end of a text, so it would hide what stands behind it.
#[cfg(feature = "sqlite")]
pub(crate) fn without_nul(bytes: &[u8]) -> Cow<'_, str> {
    replace(lossy(bytes), |c| c == '\0')
}

/// The same without control characters, which become U+FFFD: a file of lines is looked at in a
/// terminal. Tabs and line ends stay, for a message is made of lines.
pub(crate) fn without_controls(text: Cow<'_, str>) -> Cow<'_, str> {
    replace(text, |c| c.is_control() && !matches!(c, '\t' | '\r' | '\n'))
}

fn replace(text: Cow<'_, str>, which: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.contains(&which) { text.replace(which, "\u{fffd}").into() } else { text }
}

/// The first `bytes_max` bytes, or a few less where a character would be cut in two; and whether
/// anything was cut.
pub(crate) fn cut(text: &[u8], bytes_max: usize) -> (&[u8], bool) {
    if text.len() <= bytes_max {
        return (text, false);
    }
    let continues = |at: usize| text[at] & 0b1100_0000 == 0b1000_0000;
    // A character has at most four bytes, so what goes on for longer is none.
    let end = (bytes_max.saturating_sub(3)..=bytes_max).rev().find(|at| !continues(*at));
    (&text[..end.unwrap_or(bytes_max)], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_but_line_ends_and_tabs_are_replaced() {
        let text = without_controls("a\0\u{1b}[31m\u{9b}\tb\r\nc".into());
        assert_eq!(text, "a\u{fffd}\u{fffd}[31m\u{fffd}\tb\r\nc");
        assert!(matches!(without_controls("plain".into()), Cow::Borrowed("plain")));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("aé".as_bytes(), 3), ("aé".as_bytes(), false));
        assert_eq!(cut("aéb".as_bytes(), 2), (b"a".as_slice(), true));
        assert_eq!(cut("aéb".as_bytes(), 3), ("aé".as_bytes(), true));
        assert_eq!(cut(&[0x80; 10], 7), ([0x80; 7].as_slice(), true));
        assert_eq!(cut(b"abc", 0), (b"".as_slice(), true));
    }
}
