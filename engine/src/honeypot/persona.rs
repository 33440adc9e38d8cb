//! The device that the honeypot pretends to be: what a scanner's fingerprints look at.

use super::style::Style;

/// What a persona says and how it writes. Values are those that the products send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persona {
    /// What it is called in the configuration.
    pub name: &'static str,
    /// The header in which it names itself: Server or User-Agent.
    pub agent_header: &'static str,
    /// What it calls itself.
    pub agent: &'static str,
    /// Value of the Allow header.
    pub allow: &'static str,
    /// Value of the Supported header: the extensions that a request may require.
    pub supported: &'static str,
    /// How it writes its tags.
    pub tag: Style,
    /// How it writes its nonces.
    pub nonce: Style,
    /// The realm of its challenges; none: the address that was asked.
    pub realm: Option<&'static str>,
    /// What it writes between the parameters of a challenge.
    pub separator: &'static str,
    /// What stands behind the nonce in a challenge.
    pub challenge_end: &'static str,
    /// Whether it challenges a call as a proxy does (407) and not as a server (401).
    pub challenges_as_proxy: bool,
    /// Who made its session descriptions: the username of their `o=` line.
    pub session_origin: &'static str,
    /// Their name, the `s=` line.
    pub session_name: &'static str,
}

impl Persona {
    /// How it writes its tags; `lean`: where there is little room.
    #[must_use]
    pub fn tag_style(&self, lean: bool) -> Style {
        if lean { Style::Letters } else { self.tag }
    }

    /// How it writes its nonces; `lean`: where there is little room.
    #[must_use]
    pub fn nonce_style(&self, lean: bool) -> Style {
        if lean { Style::ShortHash } else { self.nonce }
    }
}

/// Every persona; the first is the default.
pub const PERSONAS: [&Persona; 4] = [&FREEPBX, &ASTERISK, &FREESWITCH, &OPENSIPS];

/// The persona with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Persona> {
    PERSONAS.into_iter().find(|persona| persona.name.eq_ignore_ascii_case(name))
}

/// A small office exchange, of the kind that scanners look for.
pub const FREEPBX: Persona = Persona {
    name: "freepbx",
    agent: "FPBX-16.0.40(18.20.0)",
    session_name: "Asterisk",
    ..ASTERISK
};

const ASTERISK: Persona = Persona {
    name: "asterisk",
    agent_header: "Server",
    agent: "Asterisk PBX 18.20.0",
    allow: "OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, \
            PRACK, INFO, MESSAGE, REFER",
    supported: "100rel, timer, replaces, norefersub",
    tag: Style::Uuid,
    nonce: Style::TimeAndHash,
    realm: Some("asterisk"),
    separator: ",",
    challenge_end: ",algorithm=MD5,qop=\"auth\"",
    challenges_as_proxy: false,
    session_origin: "-",
    session_name: "Asterisk",
};

const FREESWITCH: Persona = Persona {
    name: "freeswitch",
    agent_header: "User-Agent",
    agent: "FreeSWITCH-mod_sofia/1.10.9-release~64bit",
    allow: "INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY, \
            PUBLISH, SUBSCRIBE",
    supported: "timer, path, replaces",
    tag: Style::Letters,
    nonce: Style::Uuid,
    realm: None,
    separator: ", ",
    challenge_end: ", algorithm=MD5, qop=\"auth\"",
    challenges_as_proxy: true,
    session_origin: "FreeSWITCH",
    session_name: "FreeSWITCH",
};

const OPENSIPS: Persona = Persona {
    name: "opensips",
    agent_header: "Server",
    agent: "OpenSIPS (3.2.9 (x86_64/linux))",
    allow: "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY",
    supported: "path, timer",
    tag: Style::HashAndDot,
    nonce: Style::HexTimeAndHash,
    realm: None,
    separator: ", ",
    challenge_end: "",
    challenges_as_proxy: true,
    session_origin: "-",
    session_name: "call",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_persona_has_a_name_of_its_own_and_can_read_its_nonces() {
        for (index, persona) in PERSONAS.into_iter().enumerate() {
            assert_eq!(named(&persona.name.to_uppercase()), Some(persona));
            assert!(PERSONAS[..index].iter().all(|other| other.name != persona.name));
            assert_ne!(persona.nonce, Style::Letters, "{}", persona.name);
        }
        assert_eq!(named("pbx"), None);
    }

    #[test]
    fn every_method_that_is_answered_is_allowed() {
        for persona in PERSONAS {
            for method in ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER"] {
                assert!(persona.allow.split(", ").any(|allowed| allowed == method));
            }
        }
    }
}
