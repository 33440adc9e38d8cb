//! Where and how SIP is taken.

use super::super::setting::{Fallback, Group, Id, Kind, Setting};

/// In the order of their ids.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(Id::SipListen, Group::Listening, "sip-listen")
        .key("sip_listen")
        .env(&["SENTRYPEER_SIP_LISTEN"])
        .takes(Kind::List, "ADDR")
        .or(Fallback::Text("0.0.0.0:5060, [::]:5060"))
        .help("Take SIP over UDP and TCP on this address and port; may be repeated"),
    Setting::new(Id::TlsListen, Group::Listening, "tls-listen")
        .key("tls_listen_address")
        .short('z')
        .env(&["SENTRYPEER_TLS_LISTEN_ADDRESS"])
        .takes(Kind::List, "ADDR")
        .or(Fallback::Text("0.0.0.0:5061, [::]:5061"))
        .help("Take SIP over TLS on this address and port; may be repeated"),
    Setting::new(Id::Cert, Group::Listening, "cert")
        .key("cert")
        .short('t')
        .env(&["SENTRYPEER_CERT"])
        .takes(Kind::Value, "FILE")
        .or(Fallback::Computed("self-signed, made beside the database"))
        .help("TLS certificate chain (PEM); needs --key"),
    Setting::new(Id::Key, Group::Listening, "key")
        .key("key")
        .short('k')
        .env(&["SENTRYPEER_KEY"])
        .takes(Kind::Value, "FILE")
        .or(Fallback::Computed("made with the self-signed certificate"))
        .help("Private key of the certificate (PEM); needs --cert"),
    Setting::new(Id::NoTls, Group::Listening, "no-tls")
        .key("no_tls")
        .short('N')
        .env(&["SENTRYPEER_TLS_DISABLE"])
        .help("Do not listen for SIP over TLS"),
    Setting::new(Id::NoSip, Group::Listening, "no-sip")
        .key("no_sip")
        .short('R')
        .env(&["SENTRYPEER_SIP_DISABLE"])
        .help("Take no SIP at all, over any transport: only serve and share what is known"),
    Setting::new(Id::ProxyProtocolFrom, Group::Listening, "proxy-protocol-from")
        .key("proxy_protocol_from")
        .env(&["SENTRYPEER_PROXY_PROTOCOL_FROM"])
        .takes(Kind::List, "PREFIX")
        .help(
            "Connections from these addresses or prefixes come through a front end and begin \
             with a PROXY protocol header (v1 or v2) that names the caller; may be repeated",
        ),
    Setting::new(Id::Shards, Group::Listening, "shards")
        .key("shards")
        .env(&["SENTRYPEER_SHARDS"])
        .takes(Kind::Number, "N")
        .or(Fallback::Computed("the processors that this process may use"))
        .help("Threads that take SIP, each with sockets of its own (1 to 256)"),
    Setting::new(Id::Driver, Group::Listening, "driver")
        .key("driver")
        .env(&["SENTRYPEER_DRIVER"])
        .takes(Kind::Value, "NAME")
        .or(Fallback::Text("auto"))
        .help(
            "How sockets are waited for: uring (io_uring), poll, or auto, which uses io_uring \
             where the kernel allows it",
        ),
];
