//! Lines of a file of which nothing is known: they may be of any length and hold any bytes.

use std::io::{self, BufRead};

use memchr::memchr;

use crate::limits::LINE_BYTES_MAX;

/// The lines of `input`, with the place of each.
pub(crate) struct Lines<R> {
    input: R,
    place: u64,
    line: Vec<u8>,
}

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A line and its end.
    Whole(&'a [u8]),
    /// The last one, which has no end.
    Torn(&'a [u8]),
    /// One of more than [`LINE_BYTES_MAX`] bytes; they are not kept.
    Long,
}

impl<R: BufRead> Lines<R> {
    /// Lines whose first begins at `place`.
    pub(crate) fn new(input: R, place: u64) -> Self {
        Self { input, place, line: Vec::new() }
    }

    /// The next line, where it begins, and where the next one does.
    ///
    /// # Errors
    ///
    /// What `input` says.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Line<'_>, u64, u64)>> {
        let begin = self.place;
        self.line.clear();
        let mut ended = false;
        let mut length: u64 = 0;
        while !ended {
            let bytes = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            if bytes.is_empty() {
                break;
            }
            let end = memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let room = (LINE_BYTES_MAX + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            ended = end.is_some();
            let read = part.len() + usize::from(ended);
            self.input.consume(read);
            length += read as u64;
        }
        if length == 0 {
            return Ok(None);
        }
        self.place = begin + length;
        Ok(Some((self.found(ended), begin, self.place)))
    }

    fn found(&self, ended: bool) -> Line<'_> {
        match self.line.strip_suffix(b"\r").unwrap_or(&self.line) {
            line if line.len() > LINE_BYTES_MAX => Line::Long,
            line if ended => Line::Whole(line),
            line => Line::Torn(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(bytes: &[u8], chunk: usize) -> Vec<(String, u64, u64)> {
        let mut lines = Lines::new(BufReader::with_capacity(chunk, bytes), 10);
        let mut found = Vec::new();
        while let Some((line, begin, end)) = lines.next().unwrap() {
            found.push((format!("{line:?}").chars().take(24).collect(), begin, end));
        }
        found
    }

    #[test]
    fn lines_have_places_whatever_the_chunks_that_they_come_in() {
        let expected: Vec<(String, u64, u64)> = vec![
            ("Whole([97, 98])".into(), 10, 13),
            ("Whole([])".into(), 13, 15),
            ("Torn([99])".into(), 15, 16),
        ];
        for chunk in 1..8 {
            assert_eq!(lines(b"ab\n\r\nc", chunk), expected);
        }
        assert_eq!(lines(b"", 4), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_not_kept_and_the_next_one_is_found() {
        let mut bytes = vec![b'x'; LINE_BYTES_MAX * 3];
        bytes.extend_from_slice(b"\ny\n");
        let end = 10 + LINE_BYTES_MAX as u64 * 3 + 1;
        let expected = [("Long".into(), 10, end), ("Whole([121])".into(), end, end + 2)];
        assert_eq!(lines(&bytes, 4096), expected);

        let mut reader = Lines::new(bytes.as_slice(), 0);
        reader.next().unwrap();
        assert!(reader.line.capacity() < 2 * LINE_BYTES_MAX + 8);
    }

    #[test]
    fn a_line_of_the_most_bytes_is_kept() {
        let mut bytes = vec![b'x'; LINE_BYTES_MAX];
        bytes.extend_from_slice(b"\r\n");
        assert_eq!(lines(&bytes, 4096).len(), 1);
        assert!(lines(&bytes, 4096)[0].0.starts_with("Whole"));
    }
}
