//! How the honeypot behaves, as the operator chose.

use super::persona::{self, Persona};

/// What a call is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// 200, with a session description.
    Answer,
    /// 401 or 407, as the persona does; then, with our nonce, 200.
    Challenge,
    /// This code, from 400 to 699.
    Reject(u16),
}

/// How the honeypot behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// What it pretends to be.
    pub persona: &'static Persona,
    /// What calls are answered with.
    pub calls: Calls,
    /// Which of the answers to our challenges registers, whatever its password: the first, the
    /// second, ... 0 asks for none.
    pub register_tries: u8,
    /// How long a call rings before it is answered, in milliseconds, where more than one answer may
    /// be sent at all; 0: not at all.
    pub rings_ms: u32,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            persona: &persona::FREEPBX,
            calls: Calls::Answer,
            register_tries: 3,
            rings_ms: 2_000,
        }
    }
}

/// The reason phrase that RFC 3261, section 21, has for a code with which calls are rejected.
pub(super) fn reason_of(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        480 => "Temporarily Unavailable",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => "Rejected",
    }
}
