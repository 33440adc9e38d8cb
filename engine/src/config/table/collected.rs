//! What is collected, for how long, and what of it is never acted on.

use super::super::setting::{Fallback, Group, Id, Kind, Setting};

/// In the order of their ids.
pub(super) const SETTINGS: &[Setting] = &[
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
];
