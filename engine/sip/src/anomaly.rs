//! What can be odd or wrong about a message: one bit each.
//!
//! The bits are stored with every event, so a bit keeps its number and meaning for ever; new ones
//! are added at the end.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// What was odd or wrong about a message, in two sets of [`Anomaly`] bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Anomalies {
    /// Odd, but allowed, or out of place.
    pub observed: u64,
    /// The standard says that it is wrong.
    pub invalid: u64,
}

impl Anomalies {
    /// Notes something odd.
    #[inline]
    pub(super) fn observe(&mut self, anomaly: Anomaly) {
        self.observed |= anomaly.bit();
    }

    /// Notes something wrong.
    #[inline]
    pub(super) fn reject(&mut self, anomaly: Anomaly) {
        self.invalid |= anomaly.bit();
    }

    /// Whether `anomaly` is in either set.
    #[must_use]
    pub fn has(self, anomaly: Anomaly) -> bool {
        (self.observed | self.invalid) & anomaly.bit() != 0
    }

    /// Whether both sets are empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.observed | self.invalid == 0
    }

    /// Everything that is in either set, in the order of the bits.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        Anomaly::ALL.into_iter().filter(move |anomaly| self.has(*anomaly))
    }
}

impl BitOr for Anomalies {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self { observed: self.observed | other.observed, invalid: self.invalid | other.invalid }
    }
}

impl BitOrAssign for Anomalies {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes the enum, the list of all and the names from one table, so that they cannot disagree.
macro_rules! anomalies {
    ($($(#[doc = $doc:literal])+ $variant:ident = $bit:literal, $name:literal;)+) => {
        /// One thing that can be odd or wrong about a message. The discriminant is its bit.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Anomaly {
            $($(#[doc = $doc])+ $variant = $bit,)+
        }

        impl Anomaly {
            /// Every anomaly, in the order of the bits.
            pub const ALL: [Self; [$($bit),+].len()] = [$(Self::$variant),+];

            /// The name that the outside interfaces use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it means, in a sentence or two. `docs/anomalies.md` has all of them.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+),)+
                }
            }

            /// The mask with only this anomaly's bit.
            #[must_use]
            pub const fn bit(self) -> u64 {
                1 << self as u8
            }
        }
    };
}

anomalies! {
    /// Nothing at all, or nothing but white space. Observed.
    Empty = 0, "empty";
    /// Nothing but line ends or NULs: keeps a binding open (RFC 5626, 3.5.1). Observed.
    KeepAlive = 1, "keep-alive";
    /// No method and no status line can be read. Invalid.
    NotSip = 2, "not-sip";
    /// A TLS or DTLS record. Invalid.
    LooksTls = 3, "looks-tls";
    /// An HTTP request or response. Invalid.
    LooksHttp = 4, "looks-http";
    /// RTP or RTCP. Invalid.
    LooksRtp = 5, "looks-rtp";
    /// STUN. Invalid.
    LooksStun = 6, "looks-stun";

    /// Line ends before the start line (RFC 3261, 7.5: ignore them). Observed.
    LeadingLineEnds = 7, "leading-line-ends";
    /// More or other white space in the start line than the single SPs. Invalid.
    StartLineSpace = 8, "start-line-space";
    /// No SIP-Version in the request line. Invalid.
    NoVersion = 9, "no-version";
    /// A SIP-Version other than `SIP/2.0` (505). Invalid; in another case it is only observed.
    Version = 10, "version";
    /// A byte in the method that no token may have. Invalid.
    MethodSyntax = 11, "method-syntax";
    /// A method that no RFC of the IETF defines. Observed.
    MethodUnknown = 12, "method-unknown";
    /// No Request-URI. Invalid.
    UriMissing = 13, "uri-missing";
    /// White space within the Request-URI. Invalid.
    UriSpace = 14, "uri-space";
    /// Angle brackets around the Request-URI. Invalid.
    UriAngles = 15, "uri-angles";
    /// A Request-URI whose scheme is not sip, sips or tel (416). Observed; without any scheme it is
    /// no URI, and invalid.
    UriScheme = 16, "uri-scheme";
    /// A response code that is not three digits from 100 to 699. Invalid.
    StatusCode = 17, "status-code";
    /// A response, where only requests are due. Observed.
    Response = 18, "response";

    /// A line of the head that ends with LF alone. Invalid.
    BareLf = 19, "bare-lf";
    /// A CR without LF in the head. Invalid.
    BareCr = 20, "bare-cr";
    /// A NUL in the head. Invalid; hidden by a backslash it is only observed.
    Nul = 21, "nul";
    /// The head is not UTF-8 as RFC 3629 has it; reason phrases and unknown headers may be other bytes
    /// by the letter of RFC 3261, and are counted too. Invalid.
    NotUtf8 = 22, "not-utf8";
    /// A header that goes on in the next line: allowed, and rare. Observed.
    Folded = 23, "folded";
    /// White space before the colon: allowed, and rare. Observed.
    SpaceBeforeColon = 24, "space-before-colon";
    /// A header line without a colon. Invalid.
    NoColon = 25, "no-colon";
    /// A header name that is empty or no token. Invalid.
    NameSyntax = 26, "name-syntax";
    /// More header lines, or more or longer Via, From, To and Contact values, or a longer Request-URI,
    /// than are read. Observed.
    HeaderCap = 27, "header-cap";
    /// The head does not end with an empty line: the message is cut. Invalid.
    NoBlankLine = 28, "no-blank-line";
    /// Via, From, To, Call-ID or CSeq is missing (RFC 3261, 8.1.1). Invalid.
    HeaderMissing = 29, "header-missing";
    /// Max-Forwards is missing, as RFC 2543 allowed. Observed.
    MaxForwardsMissing = 30, "max-forwards-missing";
    /// A header that may stand once stands more than once. Invalid.
    HeaderRepeated = 31, "header-repeated";
    /// CSeq is not a number below 2^32 and a method. Invalid.
    CSeqSyntax = 32, "cseq-syntax";
    /// CSeq's number is 2^31 or more (RFC 3261, 8.1.1.5). Observed.
    CSeqLarge = 33, "cseq-large";
    /// CSeq's method is not the start line's. Invalid.
    CSeqMethod = 34, "cseq-method";
    /// No Content-Length. Observed; on a stream invalid (RFC 3261, 20.14).
    ContentLengthMissing = 35, "content-length-missing";
    /// Content-Length is not a number below 2^32. Invalid.
    ContentLengthSyntax = 36, "content-length-syntax";
    /// Content-Length goes beyond the end. Invalid.
    ContentLengthBeyond = 37, "content-length-beyond";
    /// Bytes behind the body that Content-Length ends. Observed.
    TrailingBytes = 38, "trailing-bytes";
    /// A message on a stream that is larger than is read. Observed.
    TooLarge = 39, "too-large";
    /// The stream ended within the message. Observed.
    StreamCut = 40, "stream-cut";

    /// A quoted string without its end in From, To or Contact. Invalid.
    QuoteOpen = 41, "quote-open";
    /// An angle bracket without its counterpart in From, To or Contact. Invalid.
    AngleOpen = 42, "angle-open";
    /// A display name that is neither quoted nor made of tokens. Invalid.
    DisplayName = 43, "display-name";
    /// White space within the angle brackets of an address. Invalid.
    AddressSpace = 44, "address-space";
    /// An address with `?`, or a list of addresses, whose URI lacks its angle brackets. Invalid.
    AnglesMissing = 45, "angles-missing";
    /// From, To or Contact without a URI, or with something other than parameters behind it. Invalid.
    AddressSyntax = 46, "address-syntax";
    /// A URI in From, To or Contact whose scheme is not sip, sips or tel. Observed.
    AddressScheme = 47, "address-scheme";
    /// `Contact: *` outside REGISTER. Observed.
    ContactStar = 48, "contact-star";
    /// From has no tag, as RFC 2543 allowed. Observed.
    TagMissing = 49, "tag-missing";
    /// A parameter in Via, From, To or Contact without a name, as in `;;`, or whose name or value is
    /// no token, host or quoted string. Invalid.
    ParameterSyntax = 50, "parameter-syntax";
    /// Headers (`?...`) in the Request-URI (RFC 3261, 19.1.1). Invalid.
    UriHeaders = 51, "uri-headers";
    /// A percent sign without two hexadecimal digits in a URI. Invalid.
    UriEscape = 52, "uri-escape";
    /// A NUL written as `%00` in a URI: allowed, and a trap. Observed.
    UriEscapedNul = 53, "uri-escaped-nul";
    /// A host or port of a URI that cannot be one. Invalid.
    UriHost = 54, "uri-host";
    /// A Via that is not `SIP/2.0/transport host`. Invalid.
    ViaSyntax = 55, "via-syntax";
    /// More than one Via value: somebody relayed the message. Observed.
    ViaSeveral = 56, "via-several";
    /// No branch in the topmost Via, or one without more than the magic cookie (RFC 3261,
    /// 8.1.1.7). Observed.
    ViaBranch = 57, "via-branch";
    /// Max-Forwards is not a number up to 255. Invalid.
    MaxForwardsSyntax = 58, "max-forwards-syntax";
    /// Expires is not a number below 2^32. Invalid.
    ExpiresSyntax = 59, "expires-syntax";
    /// Date is not an RFC 1123 date in GMT. Invalid.
    DateSyntax = 60, "date-syntax";
    /// Call-ID is not `word [ "@" word ]`. Invalid.
    CallIdSyntax = 61, "call-id-syntax";
    /// A sip: URI with an `@` and nothing before it, or with a byte in its user part or its parameters
    /// that has to be escaped; or a tel: URI that is no number of RFC 3966. Invalid.
    UriSyntax = 62, "uri-syntax";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_anomaly_has_a_bit_and_a_name_of_its_own() {
        let mut bits = 0;
        for (index, anomaly) in Anomaly::ALL.into_iter().enumerate() {
            assert_eq!(anomaly as usize, index);
            assert_eq!(bits & anomaly.bit(), 0);
            bits |= anomaly.bit();
            assert!(Anomaly::ALL[..index].iter().all(|other| other.name() != anomaly.name()));
        }
    }

    #[test]
    fn the_union_of_two_keeps_their_sets_apart() {
        let (mut a, mut b) = (Anomalies::default(), Anomalies::default());
        a.observe(Anomaly::Nul);
        b.reject(Anomaly::BareCr);
        let both = a | b;
        assert_eq!((both.observed, both.invalid), (Anomaly::Nul.bit(), Anomaly::BareCr.bit()));
        assert_eq!(both.iter().collect::<Vec<_>>(), [Anomaly::BareCr, Anomaly::Nul]);
    }
}
