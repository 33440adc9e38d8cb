//! Who may ask, and where.

use super::super::setting::{Fallback, Group, Id, Kind, Setting};

/// In the order of their ids.
pub(super) const SETTINGS: &[Setting] = &[
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
    Setting::new(Id::ApiUnix, Group::Http, "api-unix")
        .key("api_unix")
        .env(&["SENTRYPEER_API_UNIX"])
        .takes(Kind::Value, "FILE")
        .help("Serve the HTTP API on this Unix socket too, for the node's own user and group"),
    Setting::new(Id::ApiCert, Group::Http, "api-cert")
        .key("api_cert")
        .env(&["SENTRYPEER_API_CERT"])
        .takes(Kind::Value, "FILE")
        .help(
            "Certificate chain (PEM) with which the API speaks TLS on every address; needs \
             --api-key. SIGHUP reads both again",
        ),
    Setting::new(Id::ApiKey, Group::Http, "api-key")
        .key("api_key")
        .env(&["SENTRYPEER_API_KEY"])
        .takes(Kind::Value, "FILE")
        .help("Private key of that certificate (PEM); needs --api-cert"),
    Setting::new(Id::ApiClientCa, Group::Http, "api-client-ca")
        .key("api_client_ca")
        .env(&["SENTRYPEER_API_CLIENT_CA"])
        .takes(Kind::Value, "FILE")
        .help(
            "CA (PEM) whose client certificates open the API as a token does; who shows none \
             needs a token",
        ),
    Setting::new(Id::ApiClientScopes, Group::Http, "api-client-scopes")
        .key("api_client_scopes")
        .env(&["SENTRYPEER_API_CLIENT_SCOPES"])
        .takes(Kind::List, "SCOPE")
        .or(Fallback::Text("read, feed, metrics"))
        .help("What such a certificate may be used for: read, feed, write, metrics"),
    Setting::new(Id::ApiHosts, Group::Http, "api-hosts")
        .key("api_hosts")
        .env(&["SENTRYPEER_API_HOSTS"])
        .takes(Kind::List, "NAME")
        .help(
            "A name by which clients may call the API, beside localhost and every address; may \
             be repeated. Any other Host is refused",
        ),
    Setting::new(Id::ApiAnyOrigin, Group::Http, "api-any-origin")
        .key("api_any_origin")
        .env(&["SENTRYPEER_API_ANY_ORIGIN"])
        .or(Fallback::On)
        .help("Let pages of any site read the answers of the paths of SentryPeer 4.x, as there"),
    Setting::new(Id::ApiRate, Group::Http, "api-rate")
        .key("api_rate")
        .env(&["SENTRYPEER_API_RATE"])
        .takes(Kind::Number, "N")
        .or(Fallback::Text("200"))
        .help("Requests a second of one address of another machine; twice as many at once"),
    Setting::new(Id::ApiConnectionsPerAddress, Group::Http, "api-connections-per-address")
        .key("api_connections_per_address")
        .env(&["SENTRYPEER_API_CONNECTIONS_PER_ADDRESS"])
        .takes(Kind::Number, "N")
        .or(Fallback::Text("64"))
        .help("Connections of one address of another machine that are open at once"),
    Setting::new(Id::ApiTokenRate, Group::Http, "api-token-rate")
        .key("api_token_rate")
        .env(&["SENTRYPEER_API_TOKEN_RATE"])
        .takes(Kind::Number, "N")
        .or(Fallback::Text("2000"))
        .help("Requests a second of one token without a rate of its own; twice as many at once"),
    Setting::new(Id::InsecureApi, Group::Http, "insecure-api")
        .key("insecure_api")
        .env(&["SENTRYPEER_INSECURE_API"])
        .help(
            "Let the API listen on addresses that other machines reach without TLS and tokens, \
             and answer everybody there",
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
];
