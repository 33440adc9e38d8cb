//! Who is told of events.

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
];
