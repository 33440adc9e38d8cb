//! Header lines: where one ends, and how lists and parameters in their values are cut.

use memchr::memchr;

use super::bytes::{LineEnds, is_blank, quoted_end, starts_with_lower, trim, trim_end};
use super::limits::HEADER_LINES_MAX;
use super::name::{Classified, Name, classify};

/// A logical line of the head: one header with its folds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) start: usize,
    /// Where the line ends, its line end not counted.
    pub(super) end: usize,
    /// Whether the header goes over several lines.
    pub(super) folded: bool,
}

/// The logical lines of a head, up to its empty line.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    input: &'a [u8],
    /// Where the next line begins.
    pub(super) at: usize,
    ends: LineEnds<'a>,
}

impl<'a> Lines<'a> {
    #[inline]
    pub(super) fn new(input: &'a [u8], at: usize) -> Self {
        Self { input, at, ends: LineEnds::new(input, at) }
    }

    /// The next line without looking for folds: what a start line is.
    #[inline]
    pub(super) fn physical(&mut self) -> Line {
        let start = self.at;
        self.line(start, false)
    }

    /// The next line with its folds; it goes on where the next one begins with SP or HTAB (RFC
    /// 3261, 7.3.1). `None` at the empty line and at the end of the input.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<Line> {
        let start = self.at;
        match *self.input.get(start)? {
            b'\n' => return None,
            b'\r' if self.input.get(start + 1) == Some(&b'\n') => return None,
            _ => {}
        }
        let mut line = self.line(start, false);
        while self.input.get(self.at).is_some_and(|byte| is_blank(*byte)) {
            line = self.line(start, true);
        }
        Some(line)
    }

    /// Where the body begins: behind the empty line, if that is next.
    #[inline]
    pub(super) fn empty_line_end(&self) -> Option<usize> {
        match self.input.get(self.at)? {
            b'\n' => Some(self.at + 1),
            b'\r' if self.input.get(self.at + 1) == Some(&b'\n') => Some(self.at + 2),
            _ => None,
        }
    }

    /// The line from `start` to the next line end, or to the end of the input.
    #[inline(always)]
    fn line(&mut self, start: usize, folded: bool) -> Line {
        let Some(lf) = self.ends.next() else {
            self.at = self.input.len();
            return Line { start, end: self.at, folded };
        };
        self.at = lf + 1;
        let end = if lf > start && self.input[lf - 1] == b'\r' { lf - 1 } else { lf };
        Line { start, end, folded }
    }
}

/// The header lines of a message, in order: name, value.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    lines: Lines<'a>,
    left: usize,
}

impl<'a> Headers<'a> {
    /// Those of `input` from `at` on.
    pub(super) fn new(input: &'a [u8], at: usize) -> Self {
        Self { lines: Lines::new(input, at), left: HEADER_LINES_MAX }
    }

    /// The next line with a colon, and what its name is.
    pub(super) fn next_line(&mut self) -> Option<(&'a [u8], Classified)> {
        let input = self.lines.input;
        while self.left > 0 {
            self.left -= 1;
            let line = self.lines.next()?;
            if let Some(found) = classify(input, line.start, line.end) {
                return Some((&input[line.start..line.end], found));
            }
        }
        None
    }

    /// The trimmed values of every line with this name, in order. A value that goes over several
    /// lines still has its line ends.
    pub fn values(mut self, name: Name) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || {
            loop {
                let (line, found) = self.next_line()?;
                if found.name == Some(name) {
                    return Some(trim(&line[found.colon + 1..]));
                }
            }
        })
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (line, found) = self.next_line()?;
        Some((trim(&line[..found.colon]), trim(&line[found.colon + 1..])))
    }
}

/// Cuts a value at its separators, in one walk over it.
///
/// Separators in quoted strings (and in angle brackets, if asked) do not count. A quote or bracket
/// that is never closed hides nothing, so that it cannot swallow what follows. It is looked for
/// only once: what is not closed from here on is not closed from any later place either, and a
/// value full of such quotes would cost the square of its length.
#[derive(Clone, Debug)]
pub(super) struct Splitter<'a> {
    rest: Option<&'a [u8]>,
    /// Whether no piece was cut off yet.
    whole: bool,
    quotes: bool,
    angles: bool,
}

impl<'a> Splitter<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self { rest: Some(value), whole: true, quotes: true, angles: false }
    }

    pub(super) fn with_angles(value: &'a [u8]) -> Self {
        Self { rest: Some(value), whole: true, quotes: true, angles: true }
    }

    /// The next piece, trimmed.
    pub(super) fn next(&mut self, separator: u8) -> Option<&'a [u8]> {
        let value = self.rest?;
        let end = self.piece_end(value, separator);
        self.rest = value.get(end + 1..);
        Some(trim(&value[..end]))
    }

    /// Where the piece that `value` begins with ends.
    pub(super) fn piece_end(&mut self, value: &[u8], separator: u8) -> usize {
        // Most lists have one value. In a short one a look ahead would not pay, nor where there is
        // a separator already.
        if self.whole && value.len() > 32 && memchr(separator, value).is_none() {
            return value.len();
        }
        self.whole = false;
        let mut at = 0;
        while let Some(byte) = value.get(at) {
            match byte {
                byte if *byte == separator => return at,
                b'"' if self.quotes => match quoted_end(value, at) {
                    Some(end) => at = end - 1,
                    None => self.quotes = false,
                },
                b'<' if self.angles => match memchr(b'>', &value[at..]) {
                    Some(end) => at += end,
                    None => self.angles = false,
                },
                _ => {}
            }
            at += 1;
        }
        value.len()
    }
}

/// The values of a comma-separated list, trimmed; commas in quoted strings and angle brackets do
/// not count. There is at least one value; it may be empty.
#[derive(Clone, Debug)]
pub struct List<'a>(Splitter<'a>);

impl<'a> List<'a> {
    /// The list that `value` writes.
    #[must_use]
    pub fn new(value: &'a [u8]) -> Self {
        Self(Splitter::with_angles(value))
    }
}

impl<'a> Iterator for List<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.next(b',')
    }
}

/// The `;name=value` parameters of a header or URI, in order: name, value if there is one.
#[derive(Clone, Debug)]
pub struct Params<'a>(Splitter<'a>);

impl<'a> Params<'a> {
    /// The parameters that `text` writes, which is what the fields `params` of [`Uri`](super::Uri),
    /// [`Address`](super::Address) and [`Via`](super::Via) hold. Whatever stands before its first `;`
    /// is skipped.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        let mut pieces = Splitter::new(text);
        pieces.next(b';');
        Self(pieces)
    }

    /// The value of the first parameter with this lower-case name that has a value; its quotes are
    /// left on.
    #[must_use]
    pub fn value<const N: usize>(self, name: &[u8; N]) -> Option<&'a [u8]> {
        self.into_iter().find_map(|(found, value)| {
            let same = found.len() == N && starts_with_lower(found, name);
            value.filter(|value| same && !value.is_empty())
        })
    }

    /// Whether there is a parameter with this lower-case name, with or without a value.
    #[must_use]
    pub fn has<const N: usize>(mut self, name: &[u8; N]) -> bool {
        self.any(|(found, _)| found.len() == N && starts_with_lower(found, name))
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.0.next(b';')?;
        Some(match piece.iter().position(|byte| *byte == b'=') {
            Some(equals) => (trim_end(&piece[..equals]), Some(trim(&piece[equals + 1..]))),
            None => (piece, None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(value: &str) -> Vec<String> {
        List::new(value.as_bytes()).map(|v| String::from_utf8(v.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_comma_in_quotes_or_angle_brackets_parts_nothing() {
        assert_eq!(list("a , b"), ["a", "b"]);
        assert_eq!(
            list("\"a,\\\",b\" <sip:c,d@e>;x=\"f,g\", h"),
            ["\"a,\\\",b\" <sip:c,d@e>;x=\"f,g\"", "h"]
        );
        assert_eq!(list(""), [""]);
        assert_eq!(list(",a,"), ["", "a", ""]);
    }

    #[test]
    fn what_is_never_closed_hides_nothing() {
        assert_eq!(list("\"a, b"), ["\"a", "b"]);
        assert_eq!(list("<a, <b, c"), ["<a", "<b", "c"]);
        assert_eq!(list("\"a\\\", \"b, <c>, d"), ["\"a\\\", \"b", "<c>", "d"]);
    }

    #[test]
    fn parameters_have_names_and_values_and_white_space_around_them() {
        let params = Params::new(b"skipped; a = 1 ;B;c=\"x;y\";d=;a=2;;tag\r\n =\t9");
        let found: Vec<_> = params.clone().collect();
        assert_eq!(
            found,
            [
                (&b"a"[..], Some(&b"1"[..])),
                (b"B", None),
                (b"c", Some(b"\"x;y\"")),
                (b"d", Some(b"")),
                (b"a", Some(b"2")),
                (b"", None),
                (b"tag", Some(b"9")),
            ]
        );
        assert_eq!(params.clone().value(b"a"), Some(&b"1"[..]));
        assert_eq!(params.clone().value(b"b"), None);
        assert_eq!(params.clone().value(b"d"), None);
        assert!(params.clone().has(b"b") && params.clone().has(b"d") && !params.has(b"e"));
    }

    #[test]
    fn a_line_goes_on_where_the_next_one_is_indented() {
        let input = b"A: 1\r\n\t2\n 3\r\nB: 4\n\r\nbody";
        let mut lines = Lines::new(input, 0);
        let first = lines.next().unwrap();
        assert_eq!((&input[first.start..first.end], first.folded), (&b"A: 1\r\n\t2\n 3"[..], true));
        let second = lines.next().unwrap();
        assert_eq!((&input[second.start..second.end], second.folded), (&b"B: 4"[..], false));
        assert!(lines.next().is_none());
        assert_eq!(lines.empty_line_end().map(|at| &input[at..]), Some(&b"body"[..]));
    }
}
