//! Who is told of events, webhooks aside.

use super::super::setting::{Fallback, Group, Id, Kind, Setting};

/// In the order of their ids.
pub(super) const SETTINGS: &[Setting] = &[
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
    Setting::new(Id::JsonLogFormat, Group::Outputs, "json-log-format")
        .key("json_log.format")
        .env(&["SENTRYPEER_JSON_LOG_FORMAT"])
        .takes(Kind::Value, "FORMAT")
        .or(Fallback::Text("sentrypeer"))
        .help(
            "What a line of the JSON log is: sentrypeer, tpot (the same with ip:port as source_ip), or \
             ecs (Elastic Common Schema)",
        ),
    Setting::new(Id::LogTime, Group::Outputs, "log-time")
        .key("log_time")
        .env(&["SENTRYPEER_LOG_TIME"])
        .takes(Kind::Value, "ZONE")
        .or(Fallback::Text("utc"))
        .help("Times in the JSON log: utc, or local, as SentryPeer 4.x writes them"),
    Setting::new(Id::Syslog, Group::Outputs, "syslog")
        .key("syslog.enabled")
        .short('s')
        .env(&["SENTRYPEER_SYSLOG"])
        .help("Write a line to syslog for every event"),
    Setting::new(Id::SyslogTarget, Group::Outputs, "syslog-target")
        .key("syslog.target")
        .env(&["SENTRYPEER_SYSLOG_TARGET"])
        .takes(Kind::Value, "TARGET")
        .or(Fallback::Text("local"))
        .help("Which syslog: local, journald, or a daemon elsewhere by udp, tcp or tls"),
    Setting::new(Id::SyslogAddress, Group::Outputs, "syslog-address")
        .key("syslog.address")
        .env(&["SENTRYPEER_SYSLOG_ADDRESS"])
        .takes(Kind::Value, "HOST:PORT")
        .or(Fallback::Computed("/dev/log, journald's own; none for a daemon elsewhere"))
        .help("Where that daemon is; of a local one the path of its socket"),
    Setting::new(Id::SyslogFraming, Group::Outputs, "syslog-framing")
        .key("syslog.framing")
        .env(&["SENTRYPEER_SYSLOG_FRAMING"])
        .takes(Kind::Value, "HOW")
        .or(Fallback::Text("octet-counting"))
        .help("How messages are told apart over tcp: octet-counting or lines"),
    Setting::new(Id::SyslogCaFile, Group::Outputs, "syslog-ca-file")
        .key("syslog.ca_file")
        .env(&["SENTRYPEER_SYSLOG_CA_FILE"])
        .takes(Kind::Value, "FILE")
        .or(Fallback::Computed("the system's"))
        .help("Certificates (PEM) to trust over tls"),
    Setting::new(Id::SyslogMinVerification, Group::Outputs, "syslog-min-verification")
        .key("syslog.min_verification")
        .env(&["SENTRYPEER_SYSLOG_MIN_VERIFICATION"])
        .takes(Kind::Value, "LEVEL")
        .or(Fallback::Text("unverified"))
        .help("Log only sources that are proven so well"),
    Setting::new(Id::Sqlite, Group::Outputs, "sqlite")
        .key("sqlite.file")
        .env(&["SENTRYPEER_SQLITE"])
        .takes(Kind::Value, "FILE")
        .help("Keep the table of SentryPeer 4.x up to date in this SQLite file"),
    Setting::new(Id::SqliteWithPort, Group::Outputs, "sqlite-with-port")
        .key("sqlite.with_port")
        .env(&["SENTRYPEER_SQLITE_WITH_PORT"])
        .help("Write ip:port as source_ip there, as SentryPeer 4.x does"),
    Setting::new(Id::Nats, Group::Outputs, "nats")
        .key("nats.servers")
        .env(&["SENTRYPEER_NATS"])
        .takes(Kind::List, "URL")
        .help(
            "Publish every event to a stream of NATS JetStream; servers of one cluster, as nats://HOST:PORT \
             or tls://HOST:PORT",
        ),
    Setting::new(Id::NatsSubject, Group::Outputs, "nats-subject")
        .key("nats.subject")
        .env(&["SENTRYPEER_NATS_SUBJECT"])
        .takes(Kind::Value, "SUBJECT")
        .or(Fallback::Text("sentrypeer.events"))
        .help("What subjects begin with; an INVITE is published to SUBJECT.invite"),
    Setting::new(Id::NatsUser, Group::Outputs, "nats-user")
        .key("nats.user")
        .env(&["SENTRYPEER_NATS_USER"])
        .takes(Kind::Value, "USER")
        .help("As which user"),
    Setting::new(Id::NatsPasswordFile, Group::Outputs, "nats-password-file")
        .key("nats.password_file")
        .env(&["SENTRYPEER_NATS_PASSWORD_FILE"])
        .takes(Kind::Value, "FILE")
        .help("File that holds that user's password"),
    Setting::new(Id::NatsTokenFile, Group::Outputs, "nats-token-file")
        .key("nats.token_file")
        .env(&["SENTRYPEER_NATS_TOKEN_FILE"])
        .takes(Kind::Value, "FILE")
        .help("File that holds a token, instead of a user"),
    Setting::new(Id::NatsCredentialsFile, Group::Outputs, "nats-credentials-file")
        .key("nats.credentials_file")
        .env(&["SENTRYPEER_NATS_CREDENTIALS_FILE"])
        .takes(Kind::Value, "FILE")
        .help("File that holds the seed of an nkey (SU...), and a JWT if the server wants one"),
    Setting::new(Id::NatsCaFile, Group::Outputs, "nats-ca-file")
        .key("nats.ca_file")
        .env(&["SENTRYPEER_NATS_CA_FILE"])
        .takes(Kind::Value, "FILE")
        .or(Fallback::Computed("the system's"))
        .help("Certificates (PEM) to trust over tls"),
];
