//! Sets of SIP methods, for counting.

/// A method by which events are counted. Method names are case-sensitive (RFC 3261, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Method {
    /// RFC 3261.
    Invite,
    /// RFC 3261.
    Ack,
    /// RFC 3261.
    Bye,
    /// RFC 3261.
    Cancel,
    /// RFC 3261.
    Options,
    /// RFC 3261.
    Register,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3903.
    Publish,
    /// RFC 6086.
    Info,
    /// RFC 3428.
    Message,
    /// RFC 3515.
    Refer,
    /// RFC 3311.
    Update,
    /// RFC 3262.
    Prack,
    /// A request with any other method.
    Other,
    /// No method: a response, or no SIP at all.
    None,
}

impl Method {
    /// Every method, in the order of its code.
    pub const ALL: [Self; 16] = [
        Self::Invite,
        Self::Ack,
        Self::Bye,
        Self::Cancel,
        Self::Options,
        Self::Register,
        Self::Subscribe,
        Self::Notify,
        Self::Publish,
        Self::Info,
        Self::Message,
        Self::Refer,
        Self::Update,
        Self::Prack,
        Self::Other,
        Self::None,
    ];

    /// The method with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The name as sent; `other` and `none` for the last two.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Register => "REGISTER",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Publish => "PUBLISH",
            Self::Info => "INFO",
            Self::Message => "MESSAGE",
            Self::Refer => "REFER",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Other => "other",
            Self::None => "none",
        }
    }

    /// The method that `name` counts under.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"REGISTER" => Self::Register,
            b"SUBSCRIBE" => Self::Subscribe,
            b"NOTIFY" => Self::Notify,
            b"PUBLISH" => Self::Publish,
            b"INFO" => Self::Info,
            b"MESSAGE" => Self::Message,
            b"REFER" => Self::Refer,
            b"UPDATE" => Self::Update,
            b"PRACK" => Self::Prack,
            b"" => Self::None,
            _ => Self::Other,
        }
    }
}

/// A set of methods: bit `n` is the method with code `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MethodSet(pub u16);

impl MethodSet {
    /// Adds a method.
    pub fn insert(&mut self, method: Method) {
        self.0 |= 1 << method as u8;
    }

    /// Whether the method is in the set.
    #[must_use]
    pub fn contains(self, method: Method) -> bool {
        self.0 & 1 << method as u8 != 0
    }

    /// The methods of the set, in the order of their codes.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |method| self.contains(*method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_name_and_its_code_is_its_place() {
        for (place, method) in Method::ALL.into_iter().enumerate() {
            assert_eq!(method as usize, place);
            if !matches!(method, Method::Other | Method::None) {
                assert_eq!(Method::of(method.name().as_bytes()), method);
            }
        }
        assert_eq!(Method::of(b"invite"), Method::Other);
        assert_eq!(Method::of(b""), Method::None);
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = MethodSet::default();
        set.insert(Method::Register);
        set.insert(Method::Invite);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Method::Invite, Method::Register]);
    }
}
