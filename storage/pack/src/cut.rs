//! Which token it is that differs, where a message and a template are no longer the same.

use crate::address::v4_prefix;
use crate::alphabet::DIGIT;
use crate::text::{
    Extent, back_while, classes, is_alphanumeric, is_in_address, line_name, token_end,
};
use crate::value::is_hex_of_text;

/// A message and a template where they differ.
#[derive(Clone, Copy)]
pub(crate) struct Difference<'a> {
    pub(crate) message: &'a [u8],
    pub(crate) template: &'a [u8],
    /// Where in each.
    pub(crate) at: usize,
    pub(crate) there: usize,
    /// From where on the message is the same as the template up to here.
    pub(crate) floor: usize,
    /// Whether the message came from an IPv6 address.
    pub(crate) is_v6: bool,
}

/// How far the token reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// How many bytes before the difference belong to it.
    pub(crate) back: usize,
    /// Where it ends in the message and in the template. What follows is the same in both.
    pub(crate) end: usize,
    pub(crate) end_there: usize,
    pub(crate) extent: Extent,
}

/// Numbers of up to so many digits begin with their first one, not with the first that differs: they are
/// packed as numbers.
const NUMBER_DIGITS_MAX: usize = 5;

impl Difference<'_> {
    /// The token, as small as possible; none if after no token both go on with the same byte.
    pub(crate) fn cut(&self) -> Option<Cut> {
        self.v4()
            .or_else(|| self.v6())
            .or_else(|| self.word(Extent::Soft))
            .or_else(|| self.word(Extent::Hard))
    }

    /// How many bytes before this a line begins, if the two differ in which line it is.
    pub(crate) fn other_line(&self) -> Option<usize> {
        let back = self.back_while(|byte| is_alphanumeric(byte) || b"-=".contains(&byte));
        let (start, there) = (self.at - back, self.there - back);
        let begins_line = start > 0 && self.message[start - 1] == b'\n';
        let name = line_name(&self.message[start..]);
        (begins_line && !self.template[there..].starts_with(name)).then_some(back)
    }

    fn back_while(&self, set: impl Fn(u8) -> bool) -> usize {
        back_while(self.message, self.floor, self.at, set)
    }

    /// The message and the template from so many bytes before.
    fn both(&self, back: usize) -> (&[u8], &[u8]) {
        (&self.message[self.at - back..], &self.template[self.there - back..])
    }

    fn v4(&self) -> Option<Cut> {
        let back = self.back_while(|byte| byte.is_ascii_digit() || byte == b'.');
        let (message, template) = self.both(back);
        v4_prefix(message).and(v4_prefix(template))?;
        self.same_after(back, Extent::Hard)
    }

    fn v6(&self) -> Option<Cut> {
        if !self.is_v6 {
            return None;
        }
        let cut = self.same_after(self.back_while(is_in_address), Extent::Address)?;
        let token = &self.message[self.at - cut.back..cut.end];
        (token.iter().filter(|byte| **byte == b':').count() >= 2).then_some(cut)
    }

    /// The rest of a word from here on; the whole of it if it is a short number, or if in one of them
    /// there is no rest.
    fn word(&self, extent: Extent) -> Option<Cut> {
        let cut = self.same_after(0, extent)?;
        let back = self.back_while(|byte| token_end(&[byte], 0, extent) == 1);
        let (message, template) = self.both(back);
        let (message, template) =
            (&message[..cut.end - self.at + back], &template[..cut.end_there - self.there + back]);
        let is_number =
            |token: &[u8]| token.len() <= NUMBER_DIGITS_MAX && classes(token) & DIGIT != 0;
        let has_no_rest = cut.end == self.at || cut.end_there == self.there;
        let back = if has_no_rest || (is_number(message) && is_number(template)) {
            back
        } else if is_hex_of_text(message) && is_hex_of_text(template) {
            // Not through the middle of a byte.
            back % 2
        } else {
            0
        };
        Some(Cut { back, ..cut })
    }

    /// The token that begins so many bytes before this, if what follows it is the same in both.
    fn same_after(&self, back: usize, extent: Extent) -> Option<Cut> {
        let end = token_end(self.message, self.at - back, extent);
        let end_there = token_end(self.template, self.there - back, extent);
        let goes_on = end > self.at || end_there > self.there;
        let is_same = self.message.get(end) == self.template.get(end_there);
        (goes_on && is_same).then_some(Cut { back, end, end_there, extent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is cut out of a message and a template at their first difference.
    fn cut<'a>(message: &'a str, template: &'a str) -> Option<(&'a str, &'a str, Extent)> {
        let same = message.bytes().zip(template.bytes()).take_while(|(a, b)| a == b).count();
        let difference = Difference {
            message: message.as_bytes(),
            template: template.as_bytes(),
            at: same,
            there: same,
            floor: 0,
            is_v6: message.contains("::"),
        };
        let Cut { back, end, end_there, extent } = difference.cut()?;
        Some((&message[same - back..end], &template[same - back..end_there], extent))
    }

    #[test]
    fn a_word_is_cut_from_where_it_differs() {
        let words = cut("branch=z9hG4bKPj6c3f;rport", "branch=z9hG4bKPj81ab0;rport");
        assert_eq!(words, Some(("6c3f", "81ab0", Extent::Soft)));
    }

    #[test]
    fn a_word_of_which_nothing_is_left_is_cut_whole() {
        assert_eq!(cut("<sip:ab@", "<sip:abc@"), Some(("ab", "abc", Extent::Soft)));
        assert_eq!(cut("<sip:ab", "<sip:abc"), Some(("ab", "abc", Extent::Soft)));
    }

    #[test]
    fn a_short_number_is_cut_whole() {
        assert_eq!(cut("CSeq: 1024 A", "CSeq: 1031 A"), Some(("1024", "1031", Extent::Soft)));
        assert_eq!(cut("i: 123456789\r", "i: 123456700\r"), Some(("89", "00", Extent::Soft)));
    }

    #[test]
    fn an_address_is_cut_whole() {
        let v4 = cut("Via: 203.0.113.7:5060", "Via: 203.0.113.81:5060");
        assert_eq!(v4, Some(("203.0.113.7", "203.0.113.81", Extent::Hard)));
        let v6 = cut("sip:[2001:db8::7]:5060", "sip:[2001:db8::1:7]:5060");
        assert_eq!(v6, Some(("2001:db8::7", "2001:db8::1:7", Extent::Address)));
    }

    #[test]
    fn a_word_goes_on_to_what_separates_if_only_then_both_go_on_alike() {
        let words = cut("Call-ID: 8Vd0-kfQ.1@a", "Call-ID: x.y@a");
        assert_eq!(words, Some(("8Vd0-kfQ.1", "x.y", Extent::Hard)));
        assert_eq!(cut("tag=a;rport", "tag=b\r\n"), None);
    }

    #[test]
    fn hex_of_text_is_cut_between_two_bytes() {
        let hex = cut("tag=3132343435363738 ", "tag=3132353035363738 ");
        assert_eq!(hex, Some(("343435363738", "353035363738", Extent::Soft)));
        let plain = cut("tag=f132343435363738 ", "tag=f132353035363738 ");
        assert_eq!(plain, Some(("43435363738", "53035363738", Extent::Soft)));
    }

    #[test]
    fn a_line_of_another_name_is_noticed() {
        let other = |message: &str, template: &str| {
            let same = message.bytes().zip(template.bytes()).take_while(|(a, b)| a == b).count();
            let (message, template) = (message.as_bytes(), template.as_bytes());
            let (at, there) = (same, same);
            Difference { message, template, at, there, floor: 0, is_v6: false }.other_line()
        };
        assert_eq!(other("a\r\nContact: x\r\n", "a\r\nContent-Type: y\r\n"), Some(4));
        assert_eq!(other("a\r\nTo: x\r\n", "a\r\nFrom: x\r\n"), Some(0));
        assert_eq!(other("a\r\nTo: x\r\n", "a\r\nTo: y\r\n"), None);
        assert_eq!(other("a\r\no=x 1\r\n", "a\r\no=y 1\r\n"), None);
        assert_eq!(other("INVITE sip:", "OPTIONS sip:"), None);
    }
}
