//! Where a value comes from, so that every message can name the place.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A character in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named.
    pub path: Arc<Path>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The place of the byte at `offset` in `text`, which is what `path` holds.
    #[must_use]
    pub(super) fn at(path: &Arc<Path>, text: &str, offset: usize) -> Self {
        Cursor::new(path, text).forward_to(offset)
    }
}

/// Walks a text from its start, so that the places of many offsets take one pass.
pub(super) struct Cursor<'a> {
    text: &'a str,
    offset: usize,
    place: Place,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(path: &Arc<Path>, text: &'a str) -> Self {
        Self { text, offset: 0, place: Place { path: Arc::clone(path), line: 1, column: 1 } }
    }

    /// The place of the byte at `offset`, which must not lie before the last one. An offset
    /// inside a character is the character's, and one beyond the end is the end.
    pub(super) fn forward_to(&mut self, offset: usize) -> Place {
        let to = self.text.floor_char_boundary(offset).max(self.offset);
        for c in self.text[self.offset..to].chars() {
            if c == '\n' {
                self.place.line += 1;
                self.place.column = 1;
            } else {
                self.place.column += 1;
            }
        }
        self.offset = to;
        self.place.clone()
    }
}

/// Which layer set a value, weakest first, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody did.
    Default,
    /// The configuration file.
    File(Place),
    /// The environment variable with this name.
    Environment(&'static str),
    /// The flag with this long name.
    Flag(&'static str),
}

impl Origin {
    /// The layer's rank: a higher one wins.
    #[must_use]
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File(_) => 1,
            Self::Environment(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => {
                write!(f, "{}:{}:{}", place.path.display(), place.line, place.column)
            }
            Self::Environment(name) => f.write_str(name),
            Self::Flag(long) => write!(f, "--{long}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_both_start_at_one() {
        let path: Arc<Path> = Path::new("c.toml").into();
        let text = "a\nbü = é\n";
        let place = |offset| {
            let place = Place::at(&path, text, offset);
            (place.line, place.column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(2), (2, 1));
        assert_eq!(place(text.find('=').unwrap()), (2, 4));
        assert_eq!(place(text.len()), (3, 1));
        assert_eq!(place(text.len() + 99), (3, 1));
        assert_eq!(Place::at(&path, "", 0).column, 1);
    }
}
