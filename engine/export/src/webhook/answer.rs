//! What an answer means: a decision without IO.

use std::time::Duration;

use sentrypeer_storage::event::Time;

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The receiver has it.
    Taken,
    /// It will never take it: set it aside.
    Refused,
    /// It takes less at a time.
    TooLarge,
    /// The token is not good, or not good any more.
    Unauthorized,
    /// Not now.
    Later,
}

/// RFC 9110, section 15. 408, 425 and 429 are about the moment; a redirect is not followed, for it would lead
/// the events and the token elsewhere: it is an error of the configuration that may be mended.
pub(crate) fn verdict(status: u16, has_token: bool, events: usize) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        401 | 403 if has_token => Verdict::Unauthorized,
        408 | 425 | 429 => Verdict::Later,
        413 if events > 1 => Verdict::TooLarge,
        400..=499 => Verdict::Refused,
        _ => Verdict::Later,
    }
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
pub(crate) fn retry_after(value: &str, now: Time) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp().as_second();
    let wait = at.saturating_sub_unsigned(now.0 / 1_000_000_000);
    Some(Duration::from_secs(u64::try_from(wait).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_gets_better_is_set_aside() {
        let of = |status| verdict(status, false, 1);
        for status in [200, 202, 204] {
            assert_eq!(of(status), Verdict::Taken);
        }
        for status in [400, 401, 403, 404, 410, 413, 422] {
            assert_eq!(of(status), Verdict::Refused, "{status}");
        }
        for status in [100, 302, 408, 425, 429, 500, 502, 503, 600] {
            assert_eq!(of(status), Verdict::Later, "{status}");
        }
        assert_eq!(verdict(401, true, 1), Verdict::Unauthorized);
        assert_eq!(verdict(413, false, 2), Verdict::TooLarge);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Time(1_445_412_480_000_000_000);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        let date = "Wed, 21 Oct 2015 07:28:30 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
