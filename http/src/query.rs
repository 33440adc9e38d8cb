//! Percent-decoding, and the parameters of a query.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The bytes that `text` stands for (RFC 3986, section 2.1). A `%` that no two hexadecimal digits
/// follow stands for itself, and so does `+`, in paths and queries alike: `+44…` is a number here,
/// and nothing that can be asked for has a space in it.
pub(crate) fn decoded(text: &str) -> Cow<'_, [u8]> {
    percent_decode_str(text).into()
}

/// Why a query was refused. The texts are what the client reads.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("parameter \"{name}\" is not known here; known are: {known}")]
    Unknown { name: String, known: String },
    #[error("parameter \"{name}\" does not work here: {why}")]
    NotKept { name: &'static str, why: &'static str },
    #[error("parameter \"{name}\" is given twice")]
    Twice { name: &'static str },
    #[error("parameters \"{}\" and \"{}\" cannot go together", .names[0], .names[1])]
    Both { names: [&'static str; 2] },
    #[error("parameter \"{name}\": \"{value}\" is not {expected}")]
    Value { name: &'static str, value: String, expected: String },
}

/// The parameters of a query, by the names that the endpoint knows.
pub(crate) struct Parameters<'a> {
    found: Vec<(&'static str, Cow<'a, [u8]>)>,
}

impl<'a> Parameters<'a> {
    /// Takes `query` apart. `names` are what the endpoint knows. No name may come twice, so there are
    /// never more parameters than names.
    pub(crate) fn parse(query: &'a str, names: &[&'static str]) -> Result<Self, QueryError> {
        let mut found: Vec<(&'static str, Cow<'a, [u8]>)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name);
            let Some(name) = names.iter().copied().find(|n| n.as_bytes() == &*name) else {
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(QueryError::Unknown { name: shown(&name), known });
            };
            if found.iter().any(|(other, _)| *other == name) {
                return Err(QueryError::Twice { name });
            }
            found.push((name, decoded(value)));
        }
        Ok(Self { found })
    }

    /// The bytes of a parameter, if it is given.
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.found.iter().find(|(n, _)| *n == name).map(|(_, value)| &**value)
    }

    /// What `read` makes of a parameter; refused with `expected` where it makes nothing.
    pub(crate) fn value<T>(
        &self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, QueryError> {
        let Some(bytes) = self.bytes(name) else { return Ok(None) };
        let value = std::str::from_utf8(bytes).ok().and_then(read);
        let refused =
            || QueryError::Value { name, value: shown(bytes), expected: expected.to_owned() };
        value.map(Some).ok_or_else(refused)
    }
}

/// As much of what a client sent as a message repeats.
fn shown(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 64;
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["ip", "number"];

    fn parse(query: &str) -> Result<Parameters<'_>, QueryError> {
        Parameters::parse(query, &NAMES)
    }

    #[test]
    fn a_plus_stays_a_plus() {
        let parameters = parse("number=+44%2B%23").unwrap();
        assert_eq!(parameters.bytes("number"), Some(b"+44+#".as_slice()));
    }

    #[test]
    fn a_percent_without_two_digits_stands_for_itself() {
        assert_eq!(&*decoded("100%"), b"100%");
        assert_eq!(&*decoded("%zz%4"), b"%zz%4");
        assert_eq!(&*decoded("%00%ff"), b"\x00\xff");
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        let error = parse("ip=1&foo=2").map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "parameter \"foo\" is not known here; known are: ip, number");
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        assert_eq!(parse("ip=1&ip=2").map(|_| ()), Err(QueryError::Twice { name: "ip" }));
    }

    #[test]
    fn empty_pieces_are_passed_over() {
        assert!(parse("&&").unwrap().found.is_empty());
        assert_eq!(parse("ip").unwrap().bytes("ip"), Some(b"".as_slice()));
    }
}
