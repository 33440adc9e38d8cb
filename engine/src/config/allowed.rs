//! What nothing may act on, as the operator lists it: in the configuration, and one a line in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sentrypeer_http::limits::ALLOW_REASON_BYTES_MAX;
use sentrypeer_storage::policy::NumberPattern;
use sentrypeer_storage::prefix::Prefix;

use super::error::{Fault, Shown};
use super::file::{self, Content};
use super::limits::ALLOW_FILE_BYTES_MAX;
use super::origin::{Origin, Place};

/// The operator's part of the allow-list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Addresses and prefixes that the configuration names.
    pub addresses: Vec<Prefix>,
    /// The file with more of them.
    pub file: Option<PathBuf>,
    /// What it held when the configuration was read.
    pub from_file: Vec<Listed>,
    /// Numbers, and what numbers begin with.
    pub numbers: Vec<NumberPattern>,
}

/// An entry of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What is listed.
    pub prefix: Prefix,
    /// Its comment, cut to what the API shows of a reason, without control characters.
    pub reason: String,
}

impl Listed {
    fn new(prefix: Prefix, comment: &str) -> Self {
        let mut reason: String = comment.trim().chars().filter(|c| !c.is_control()).collect();
        reason.truncate(reason.floor_char_boundary(ALLOW_REASON_BYTES_MAX));
        Self { prefix, reason }
    }
}

/// Reads the file. Problems come with their places in it, or with none when they are about the whole
/// file.
pub(super) fn read(path: &Path) -> (Vec<Listed>, Vec<(Option<Origin>, Fault)>) {
    let whole = |fault| (Vec::new(), vec![(None, fault)]);
    match file::read(path, ALLOW_FILE_BYTES_MAX) {
        Ok(Content::Bytes(bytes)) => match String::from_utf8(bytes) {
            Ok(text) => parse(path, &text),
            Err(_) => whole(Fault::NotUtf8),
        },
        Ok(Content::TooLarge) => {
            whole(Fault::TooLarge { path: Shown::path(path), max: ALLOW_FILE_BYTES_MAX })
        }
        Err(error) => {
            let remedy = "name a file that this user may read, with an address or a prefix a line";
            whole(Fault::Unreadable { path: Shown::path(path), error, remedy })
        }
    }
}

/// An address or a prefix a line; what stands behind `#` is its reason.
fn parse(path: &Path, text: &str) -> (Vec<Listed>, Vec<(Option<Origin>, Fault)>) {
    let path: Arc<Path> = path.into();
    let (mut listed, mut problems) = (Vec::new(), Vec::new());
    for (at, line) in text.lines().enumerate() {
        let (line, comment) = line.split_once('#').unwrap_or((line, ""));
        let entry = line.trim();
        if entry.is_empty() {
            continue;
        }
        match entry.parse() {
            Ok(prefix) => listed.push(Listed::new(prefix, comment)),
            Err(_) => {
                let indent = line.chars().take_while(|c| c.is_whitespace()).count();
                let place = Place { path: Arc::clone(&path), line: at + 1, column: indent + 1 };
                problems.push((Some(Origin::File(place)), Fault::NotAPrefix(Shown::text(entry))));
            }
        }
    }
    (listed, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_an_entry_a_line_and_comments() {
        let text = "# ours\n192.0.2.0/24\n\n  2001:db8::1 # the exchange\r\n10.0.0.7";
        let (listed, problems) = parse(Path::new("allow.txt"), text);
        let shown: Vec<String> =
            listed.iter().map(|listed| format!("{} {}", listed.prefix, listed.reason)).collect();
        assert_eq!(shown, ["192.0.2.0/24 ", "2001:db8::1/128 the exchange", "10.0.0.7/32 "]);
        assert!(problems.is_empty());
    }

    #[test]
    fn a_comment_is_cut_and_what_would_break_a_line_is_left_out() {
        let text = format!("10.0.0.7 #\ta\u{1b}[31m{}", "\u{e9}".repeat(ALLOW_REASON_BYTES_MAX));
        let (listed, _) = parse(Path::new("allow.txt"), &text);
        let reason = &listed[0].reason;
        assert!(reason.starts_with("a[31m\u{e9}") && reason.len() <= ALLOW_REASON_BYTES_MAX);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named_with_its_line() {
        let (listed, problems) = parse(Path::new("allow.txt"), "10.0.0.7\n  10/8 # all\nx y\n");
        assert_eq!(listed.len(), 1);
        let shown: Vec<String> = problems
            .iter()
            .map(|(origin, fault)| format!("{}: {fault}", origin.as_ref().unwrap()))
            .collect();
        assert!(shown[0].starts_with("allow.txt:2:3: \"10/8\" is neither"), "{shown:?}");
        assert!(shown[1].starts_with("allow.txt:3:1: \"x y\" is neither"), "{shown:?}");
    }
}
