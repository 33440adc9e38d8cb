//! The one table of settings. Flags, environment variables, keys of the file, help, reference and
//! defaults are all derived from it, so they cannot disagree.

use super::setting::{COUNT, Fallback, Group, Id, Kind, Setting};

/// Every setting, in the order in which help shows them.
pub const SETTINGS: &[Setting] = &[
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
    Setting::new(Id::Db, Group::Collected, "db")
        .key("db")
        .short('f')
        .env(&["SENTRYPEER_DB_FILE"])
        .takes(Kind::Value, "FILE")
        .or(Fallback::Text("sentrypeer.redb"))
        .help("Database that keeps the events"),
    Setting::new(Id::Responsive, Group::Collected, "responsive")
        .key("responsive")
        .short('r')
        .env(&["SENTRYPEER_SIP_RESPONSIVE"])
        .help("Answer probes, so that callers show more of what they want"),
    Setting::new(Id::Persona, Group::Collected, "persona")
        .key("persona")
        .env(&["SENTRYPEER_PERSONA"])
        .takes(Kind::Value, "NAME")
        .or(Fallback::Text("freepbx"))
        .help("What a responsive node pretends to be: freepbx, asterisk, freeswitch or opensips"),
    Setting::new(Id::Calls, Group::Collected, "calls")
        .key("calls")
        .env(&["SENTRYPEER_CALLS"])
        .takes(Kind::Value, "HOW")
        .or(Fallback::Text("answer"))
        .help(
            "What a responsive node does with a call: answer, challenge (for credentials, and \
             then answer), or a code from 400 to 699 that it is rejected with",
        ),
    Setting::new(Id::RegisterTries, Group::Collected, "register-tries")
        .key("register_tries")
        .env(&["SENTRYPEER_REGISTER_TRIES"])
        .takes(Kind::Number, "N")
        .or(Fallback::Text("3"))
        .help(
            "Which password of a caller registers it, whatever it is: the first, the second, ... \
             up to 9; 0 asks for none",
        ),
    Setting::new(Id::RingMs, Group::Collected, "ring-ms")
        .key("ring_ms")
        .env(&["SENTRYPEER_RING_MS"])
        .takes(Kind::Number, "MS")
        .or(Fallback::Text("2000"))
        .help(
            "How long a call rings before it is answered, where the caller has proven its address \
             (behind a challenge, say), in milliseconds, up to 60000; 0: not at all",
        ),
    Setting::new(Id::AnswerRateSource, Group::Collected, "answer-rate-source")
        .key("answer_rate_source")
        .env(&["SENTRYPEER_ANSWER_RATE_SOURCE"])
        .takes(Kind::Number, "N")
        .or(Fallback::Text("20"))
        .help(
            "Answers a second over UDP to one address that has proven nothing, and may be forged; \
             0 is unlimited. Every message is recorded all the same",
        ),
    Setting::new(Id::AnswerRateNetwork, Group::Collected, "answer-rate-network")
        .key("answer_rate_network")
        .env(&["SENTRYPEER_ANSWER_RATE_NETWORK"])
        .takes(Kind::Number, "N")
        .or(Fallback::Text("100"))
        .help("The same for a network: a /24 of IPv4, a /56 of IPv6"),
    Setting::new(Id::AnswerRateTotal, Group::Collected, "answer-rate-total")
        .key("answer_rate_total")
        .env(&["SENTRYPEER_ANSWER_RATE_TOTAL"])
        .takes(Kind::Number, "N")
        .or(Fallback::Text("2000"))
        .help("The same for all addresses together"),
    Setting::new(Id::TestAddresses, Group::Collected, "test-addresses")
        .key("test_addresses")
        .env(&["SENTRYPEER_TEST_ADDRESSES"])
        .help(
            "Treat special-purpose addresses (127.0.0.1, say) and this node's own like any \
             other; for trying things out on one machine",
        ),
    Setting::new(Id::EventsKeepDays, Group::Collected, "events-keep-days")
        .key("events_keep_days")
        .env(&["SENTRYPEER_EVENTS_KEEP_DAYS"])
        .takes(Kind::Number, "DAYS")
        .or(Fallback::Text("7"))
        .help(
            "How long events are kept, and who was not seen for this long is in no list any more \
             (1 to 30)",
        ),
    Setting::new(Id::MessagesKeepDays, Group::Collected, "messages-keep-days")
        .key("messages_keep_days")
        .env(&["SENTRYPEER_MESSAGES_KEEP_DAYS"])
        .takes(Kind::Number, "DAYS")
        .or(Fallback::Computed("as long as the events"))
        .help(
            "How long the messages of events are kept, which take most of the room (1 to 30); the \
             events stay",
        ),
    Setting::new(Id::HoursKeepDays, Group::Collected, "hours-keep-days")
        .key("hours_keep_days")
        .env(&["SENTRYPEER_HOURS_KEEP_DAYS"])
        .takes(Kind::Number, "DAYS")
        .or(Fallback::Text("30"))
        .help("How long the counts of each hour are kept (1 to 400)"),
    Setting::new(Id::LogSizeMaxMb, Group::Collected, "log-size-max-mb")
        .key("log_size_max_mb")
        .env(&["SENTRYPEER_LOG_SIZE_MAX_MB"])
        .takes(Kind::Number, "MB")
        .help(
            "What events and messages may take in the database, in megabytes, at least 16. Beyond \
             it the oldest messages go before their time, and then the oldest events",
        ),
    Setting::new(Id::Allow, Group::Acted, "allow")
        .key("allow")
        .env(&["SENTRYPEER_ALLOW"])
        .takes(Kind::List, "PREFIX")
        .help(
            "An address or a prefix that is recorded and never acted on: it is in no list, dip or \
             feed; may be repeated",
        ),
    Setting::new(Id::AllowFile, Group::Acted, "allow-file")
        .key("allow_file")
        .env(&["SENTRYPEER_ALLOW_FILE"])
        .takes(Kind::Value, "FILE")
        .help("File with more of them, one a line; # begins a comment. SIGHUP reads it again"),
    Setting::new(Id::AllowNumbers, Group::Acted, "allow-numbers")
        .key("allow_numbers")
        .env(&["SENTRYPEER_ALLOW_NUMBERS"])
        .takes(Kind::List, "NUMBER")
        .help(
            "A number that is recorded and in no list or dip, however it was dialled; with * at \
             its end all that begin so; may be repeated. Emergency numbers always are",
        ),
    Setting::new(Id::BlockPrivate, Group::Acted, "block-private")
        .key("block_private")
        .env(&["SENTRYPEER_BLOCK_PRIVATE"])
        .help("Let feeds block private addresses (RFC 1918, 100.64.0.0/10, fc00::/7) too"),
    Setting::new(Id::JsonLog, Group::Outputs, "json-log")
        .key("json_log.enabled")
        .short('j')
        .env(&["SENTRYPEER_JSON_LOG"])
        .help("Write every event to a file, as one JSON object a line"),
    Setting::new(Id::JsonLogFile, Group::Outputs, "json-log-file")
        .key("json_log.file")
        .short('l')
        .env(&["SENTRYPEER_JSON_LOG_FILE"])
        .takes(Kind::Value, "FILE")
        .or(Fallback::Text("./sentrypeer_json.log"))
        .help("File of the JSON log"),
    Setting::new(Id::Syslog, Group::Outputs, "syslog")
        .key("syslog")
        .short('s')
        .env(&["SENTRYPEER_SYSLOG"])
        .help("Write a line to syslog for every event"),
    Setting::new(Id::Webhook, Group::Outputs, "webhook")
        .key("webhook")
        .short('w')
        .env(&["SENTRYPEER_WEBHOOK_URL", "SENTRYPEER_WEBHOOK"])
        .takes(Kind::Value, "URL")
        .secret()
        .help("POST every event to this URL"),
    Setting::new(Id::ClientId, Group::Outputs, "oauth2-client-id")
        .key("oauth2_client_id")
        .short('i')
        .env(&["SENTRYPEER_OAUTH2_CLIENT_ID"])
        .takes(Kind::Value, "ID")
        .help("OAuth 2 client id for the webhook"),
    Setting::new(Id::ClientSecret, Group::Outputs, "oauth2-client-secret")
        .key("oauth2_client_secret")
        .short('c')
        .env(&["SENTRYPEER_OAUTH2_CLIENT_SECRET"])
        .takes(Kind::Value, "SECRET")
        .secret()
        .help(
            "OAuth 2 client secret for the webhook. Other users of this machine can see it on \
             a command line: prefer the file",
        ),
    Setting::new(Id::ClientSecretFile, Group::Outputs, "oauth2-client-secret-file")
        .key("oauth2_client_secret_file")
        .env(&["SENTRYPEER_OAUTH2_CLIENT_SECRET_FILE"])
        .takes(Kind::Value, "FILE")
        .help("File that holds the OAuth 2 client secret"),
    Setting::new(Id::PeerToPeer, Group::Sharing, "peer-to-peer")
        .key("peer_to_peer")
        .short('p')
        .env(&["SENTRYPEER_PEER_TO_PEER"])
        .help("Share what is seen with other nodes, and take in what they share"),
    Setting::new(Id::Bootstrap, Group::Sharing, "bootstrap")
        .key("bootstrap")
        .short('b')
        .env(&["SENTRYPEER_BOOTSTRAP_NODE"])
        .takes(Kind::Value, "HOST[:PORT]")
        .or(Fallback::Text("bootstrap.sentrypeer.org:4222"))
        .help("Node through which to find the others"),
    Setting::new(Id::Api, Group::Http, "api")
        .key("api")
        .short('a')
        .env(&["SENTRYPEER_API"])
        .help("Serve the HTTP API"),
    Setting::new(Id::ApiListen, Group::Http, "api-listen")
        .key("api_listen")
        .env(&["SENTRYPEER_API_LISTEN"])
        .takes(Kind::List, "ADDR")
        .or(Fallback::Text("127.0.0.1:8082"))
        .help("Serve the HTTP API on this address and port; may be repeated. Switches it on too"),
    Setting::new(Id::InsecureApi, Group::Http, "insecure-api")
        .key("insecure_api")
        .env(&["SENTRYPEER_INSECURE_API"])
        .help(
            "Let the API listen on addresses that other machines reach, although it has \
             no authentication",
        ),
    Setting::new(Id::DipListen, Group::Http, "dip-listen")
        .key("dip_listen")
        .env(&["SENTRYPEER_DIP_LISTEN"])
        .takes(Kind::Value, "ADDR|none")
        .or(Fallback::Text("127.0.0.1:8083"))
        .help(
            "Answer a PBX on this machine, fast, on this loopback address and port. By \
             default only with the API; \"none\" switches it off",
        ),
    Setting::new(Id::Strict, Group::Http, "strict").key("strict").env(&["SENTRYPEER_STRICT"]).help(
        "Let the lists of SentryPeer 4.x (/ip-addresses, /numbers) name only sources \
             whose address is proven",
    ),
    Setting::new(Id::ConfigFile, Group::General, "config")
        .short('g')
        .env(&["SENTRYPEER_CONFIG_FILE"])
        .takes(Kind::Value, "FILE")
        .or(Fallback::Computed("~/.config/sentrypeer/default-config.toml, if it exists"))
        .help("Configuration file (TOML)"),
    Setting::new(Id::CheckConfig, Group::General, "check-config")
        .env(&["SENTRYPEER_CHECK_CONFIG"])
        .help("Check the configuration, print it with where each value comes from, and exit"),
    Setting::new(Id::Verbose, Group::General, "verbose")
        .key("verbose")
        .short('v')
        .env(&["SENTRYPEER_VERBOSE"])
        .help("Log more detail"),
    Setting::new(Id::Debug, Group::General, "debug")
        .key("debug")
        .short('d')
        .env(&["SENTRYPEER_DEBUG"])
        .help("Log everything, each message too; for finding faults"),
];

// `Id as usize` is the index, so the table must be complete and in the order of `Id`.
const _: () = {
    assert!(SETTINGS.len() == COUNT);
    let mut i = 0;
    while i < COUNT {
        assert!(SETTINGS[i].id as usize == i);
        i += 1;
    }
};

impl Id {
    /// The setting with this id.
    #[must_use]
    pub fn setting(self) -> &'static Setting {
        &SETTINGS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_settings_share_a_name() {
        let mut names = HashSet::new();
        for setting in SETTINGS {
            let own = [Some(format!("--{}", setting.long)), setting.short.map(|c| format!("-{c}"))]
                .into_iter()
                .flatten()
                .chain(setting.key.map(str::to_owned))
                .chain(setting.environment.iter().map(|&name| name.to_owned()));
            for name in own {
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
        }
    }

    #[test]
    fn every_setting_has_a_variable_and_a_help_text() {
        for setting in SETTINGS {
            let own = setting.environment;
            assert!(own.iter().all(|name| name.starts_with("SENTRYPEER_")), "{}", setting.long);
            assert!(!own.is_empty(), "{}", setting.long);
            assert!(!setting.help.is_empty() && !setting.help.ends_with('.'), "{}", setting.long);
            assert_eq!(setting.value_name.is_empty(), setting.kind == Kind::Switch);
        }
    }
}
