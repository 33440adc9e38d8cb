//! The device that the honeypot pretends to be.

/// What a persona says of itself in its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persona {
    /// Value of the Server header.
    pub server: &'static str,
    /// Value of the Allow header.
    pub allow: &'static str,
    /// Value of the Supported header.
    pub supported: &'static str,
}

/// A small office exchange, of the kind that scanners look for.
pub const EXCHANGE: Persona = Persona {
    server: "FPBX-16.0.40(18.20.0)",
    allow: "OPTIONS, REGISTER, INVITE, ACK, BYE, CANCEL, INFO, MESSAGE, NOTIFY, PRACK, REFER, \
            SUBSCRIBE, UPDATE",
    supported: "replaces, timer, path",
};
