//! What is printed as JSON on a terminal: nothing in it is an order to the terminal.

use std::fmt::Write as _;
use std::io::{self, Write};

use sentrypeer_export::syslog::is_order;

/// The same JSON, with everything escaped that a terminal takes for an order. JSON demands that only of what
/// is below U+0020.
pub(super) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        // Outside texts only line ends are such characters, and stay.
        if letter == '\n' || !is_order(letter) {
            out.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// Passes whole lines of JSON on, [`escaped`].
pub(super) struct Escaping<W> {
    out: W,
    /// A line that has not ended yet: a character may be cut.
    begun: Vec<u8>,
}

impl<W: Write> Escaping<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, begun: Vec::new() }
    }
}

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') {
            let lines: Vec<u8> = self.begun.drain(..=end).collect();
            self.out.write_all(escaped(&String::from_utf8_lossy(&lines)).as_bytes())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{9b}2J\u{7f}\u{202e}b\u{2028}\u{feff} ü 😀";

    #[test]
    fn no_order_is_left_and_it_is_the_same_json() {
        let json = serde_json::to_string(HOSTILE).unwrap();
        let shown = escaped(&json);
        assert!(json.contains(is_order) && !shown.contains(is_order), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), HOSTILE);
    }

    #[test]
    fn lines_pass_escaped_wherever_they_are_cut() {
        let text = format!("{}\n", serde_json::to_string(HOSTILE).unwrap()).repeat(3);
        for size in 1..9 {
            let mut escaping = Escaping::new(Vec::new());
            for piece in text.as_bytes().chunks(size) {
                escaping.write_all(piece).unwrap();
            }
            escaping.flush().unwrap();
            assert_eq!(String::from_utf8(escaping.out).unwrap(), escaped(&text));
        }
    }
}
