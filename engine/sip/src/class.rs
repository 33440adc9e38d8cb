//! Which bytes may be part of what: one table for the whole grammar (RFC 3261, 25.1).

/// `token`.
pub(super) const TOKEN: u8 = 1;
/// The letters of `hostname` and `IPv4address`.
pub(super) const HOST: u8 = 1 << 1;
/// `word`.
pub(super) const WORD: u8 = 1 << 2;
/// `unreserved / user-unreserved`: a user part without escapes.
pub(super) const USER: u8 = 1 << 3;
/// `paramchar` without escapes, and what parts the parameters of a URI: `;` and `=`.
pub(super) const URI_PARAMETERS: u8 = 1 << 4;
/// The value of a parameter that is not quoted: `token / host`.
pub(super) const VALUE: u8 = 1 << 5;
/// What a quoted string may hold, without what is hidden by a backslash and beyond ASCII.
pub(super) const QUOTED: u8 = 1 << 6;
/// A display name that is not quoted: `*( token SP )`.
pub(super) const DISPLAY: u8 = 1 << 7;

/// Whether `byte` may be part of any of `classes`.
#[inline]
pub(super) fn is(byte: u8, classes: u8) -> bool {
    TABLE[usize::from(byte)] & classes != 0
}

/// Whether all of `bytes` may be part of `class`.
#[inline]
pub(super) fn all_are(bytes: &[u8], class: u8) -> bool {
    bytes.iter().fold(class, |all, byte| all & TABLE[usize::from(*byte)]) != 0
}

static TABLE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x7f {
        table[byte as usize] = classes(byte);
        byte += 1;
    }
    table
};

const fn classes(byte: u8) -> u8 {
    let alphanumeric = byte.is_ascii_alphanumeric();
    let token = alphanumeric || is_one_of(byte, b"-.!%*_+`'~");
    let mut classes = 0;
    if token {
        classes |= TOKEN;
    }
    if alphanumeric || is_one_of(byte, b"-.") {
        classes |= HOST;
    }
    if token || is_one_of(byte, b"()<>:\\\"/[]?{}") {
        classes |= WORD;
    }
    if alphanumeric || is_one_of(byte, b"-_.!~*'()&=+$,;?/") {
        classes |= USER;
    }
    if alphanumeric || is_one_of(byte, b"-_.!~*'()[]/:&+$;=") {
        classes |= URI_PARAMETERS;
    }
    if token || is_one_of(byte, b"[]:") {
        classes |= VALUE;
    }
    if byte >= b' ' && !is_one_of(byte, b"\\\"") {
        classes |= QUOTED;
    }
    if token || byte == b' ' {
        classes |= DISPLAY;
    }
    classes
}

const fn is_one_of(byte: u8, set: &[u8]) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_hold_what_the_grammar_says() {
        let members = |class: u8| (0..=255).filter(|byte| is(*byte, class)).collect::<Vec<u8>>();
        // 62 letters and digits each, and these.
        let marks = |class: u8| {
            let marks = members(class).into_iter().filter(|byte| !byte.is_ascii_alphanumeric());
            String::from_utf8(marks.collect()).unwrap()
        };
        assert!(
            [TOKEN, HOST, WORD, USER, URI_PARAMETERS, VALUE, QUOTED, DISPLAY]
                .into_iter()
                .all(|class| members(class).len() == 62 + marks(class).len())
        );
        assert_eq!(marks(TOKEN), "!%'*+-._`~");
        assert_eq!(marks(HOST), "-.");
        assert_eq!(marks(WORD), "!\"%'()*+-./:<>?[\\]_`{}~");
        assert_eq!(marks(USER), "!$&'()*+,-./;=?_~");
        assert_eq!(marks(URI_PARAMETERS), "!$&'()*+-./:;=[]_~");
        assert_eq!(marks(VALUE), "!%'*+-.:[]_`~");
        assert_eq!(marks(QUOTED), " !#$%&'()*+,-./:;<=>?@[]^_`{|}~");
        assert_eq!(marks(DISPLAY), " !%'*+-._`~");
    }

    #[test]
    fn all_are_asks_every_byte() {
        assert!(all_are(b"", HOST) && all_are(b"a-1.b", HOST));
        assert!(!all_are(b"a_b", HOST) && !all_are(b"ab_", HOST) && !all_are(b"\xe9", QUOTED));
    }
}
