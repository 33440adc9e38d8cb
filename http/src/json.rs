//! JSON in the style of SentryPeer 4.x: on one line, with a space behind `:` and `,`.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

/// serde_json's formatter with those spaces.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Appends `value` to `out`.
///
/// A value that JSON has no form for leaves `null`. This crate has none: its values are structs of
/// text and numbers, whose writing into memory does not fail.
pub(crate) fn append(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let start = out.len();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Spaced);
    if value.serialize(&mut serializer).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// `value` on its own.
pub(crate) fn to_vec(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    append(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_have_one_space_and_nothing_else_has() {
        let value = serde_json::json!({"a": [1, 2, {"b": null}], "c": {}, "d": [], "e": "x: y, z"});
        let text = String::from_utf8(to_vec(&value)).unwrap();
        assert_eq!(text, r#"{"a": [1, 2, {"b": null}], "c": {}, "d": [], "e": "x: y, z"}"#);
    }

    #[test]
    fn text_from_the_network_is_escaped() {
        let text = String::from_utf8(to_vec("\"\\\n\u{0}</script>")).unwrap();
        assert_eq!(text, "\"\\\"\\\\\\n\\u0000</script>\"");
    }
}
