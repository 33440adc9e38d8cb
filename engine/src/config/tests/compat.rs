//! Every flag and variable of SentryPeer 4.x, and what is new beside them.

use super::*;
use crate::honeypot::{Calls, Conduct};

/// A setting by its names, a value that is not its default, and where it then shows.
pub(super) struct Row {
    short: Option<char>,
    long: &'static str,
    variables: &'static [&'static str],
    /// As a line of the file.
    line: &'static str,
    /// Empty: a switch.
    value: &'static str,
    /// Flags that must be there too.
    with: &'static [&'static str],
    holds: fn(&Config) -> bool,
}

pub(super) const fn row(
    short: Option<char>,
    long: &'static str,
    variables: &'static [&'static str],
    line: &'static str,
    value: &'static str,
    holds: fn(&Config) -> bool,
) -> Row {
    Row { short, long, variables, line, value, with: &[], holds }
}

pub(super) const fn with(flags: &'static [&'static str], mut row: Row) -> Row {
    row.with = flags;
    row
}

fn is(listens: &[Listen], address: &str) -> bool {
    addresses(listens) == [address]
}

const ROWS: &[Row] = &[
    row(Some('f'), "db", &["SENTRYPEER_DB_FILE"], "db = 'x.redb'", "x.redb", |c| {
        c.db == Path::new("x.redb")
    }),
    row(Some('j'), "json-log", &["SENTRYPEER_JSON_LOG"], "json_log.enabled = true", "", |c| {
        c.json_log.as_ref().map(|log| log.path.as_path())
            == Some(Path::new("./sentrypeer_json.log"))
    }),
    with(
        &["-j"],
        row(
            Some('l'),
            "json-log-file",
            &["SENTRYPEER_JSON_LOG_FILE"],
            "json_log.file = 'x.log'",
            "x.log",
            |c| c.json_log.as_ref().map(|log| log.path.as_path()) == Some(Path::new("x.log")),
        ),
    ),
    row(Some('p'), "peer-to-peer", &["SENTRYPEER_PEER_TO_PEER"], "peer_to_peer = true", "", |c| {
        c.sharing.as_ref().unwrap().bootstrap[0].to_string() == "bootstrap.sentrypeer.org:4222"
    }),
    with(
        &["-p"],
        row(
            Some('b'),
            "bootstrap",
            &["SENTRYPEER_BOOTSTRAP_NODE"],
            "bootstrap = 'x.example'",
            "x.example",
            |c| c.sharing.as_ref().unwrap().bootstrap[0].to_string() == "x.example:4222",
        ),
    ),
    row(Some('a'), "api", &["SENTRYPEER_API"], "api = true", "", |c| {
        is(&c.api.listen, "127.0.0.1:8082")
    }),
    row(
        Some('w'),
        "webhook",
        &["SENTRYPEER_WEBHOOK_URL", "SENTRYPEER_WEBHOOK"],
        "webhook.url = 'https://x.example/y'",
        "https://x.example/y",
        |c| c.webhooks[0].url.reveal() == "https://x.example/y",
    ),
    with(
        &["-w", "https://x.example", "-c", "s"],
        row(
            Some('i'),
            "oauth2-client-id",
            &["SENTRYPEER_OAUTH2_CLIENT_ID"],
            "webhook.client_id = 'x'",
            "x",
            |c| c.webhooks[0].credentials.as_ref().unwrap().id == "x",
        ),
    ),
    with(
        &["-w", "https://x.example", "-i", "i"],
        row(
            Some('c'),
            "oauth2-client-secret",
            &["SENTRYPEER_OAUTH2_CLIENT_SECRET"],
            "webhook.client_secret = '-x'",
            "-x",
            |c| c.webhooks[0].credentials.as_ref().unwrap().secret.reveal() == "-x",
        ),
    ),
    row(Some('r'), "responsive", &["SENTRYPEER_SIP_RESPONSIVE"], "responsive = true", "", |c| {
        c.responsive
    }),
    row(Some('R'), "no-sip", &["SENTRYPEER_SIP_DISABLE"], "no_sip = true", "", |c| {
        c.sip_listen.is_empty() && c.tls_listen.is_empty()
    }),
    row(Some('N'), "no-tls", &["SENTRYPEER_TLS_DISABLE"], "no_tls = true", "", |c| {
        c.sip_listen.len() == 2 && c.tls_listen.is_empty()
    }),
    with(
        &["-k", "y"],
        row(Some('t'), "cert", &["SENTRYPEER_CERT"], "cert = 'x'", "x", |c| {
            c.certificate == Some(Certificate { cert: "x".into(), key: "y".into() })
        }),
    ),
    with(
        &["-t", "x"],
        row(Some('k'), "key", &["SENTRYPEER_KEY"], "key = 'y'", "y", |c| {
            c.certificate == Some(Certificate { cert: "x".into(), key: "y".into() })
        }),
    ),
    row(
        Some('z'),
        "tls-listen",
        &["SENTRYPEER_TLS_LISTEN_ADDRESS"],
        "tls_listen_address = '192.0.2.1:5061'",
        "192.0.2.1:5061",
        |c| is(&c.tls_listen, "192.0.2.1:5061"),
    ),
    row(Some('s'), "syslog", &["SENTRYPEER_SYSLOG"], "syslog.enabled = true", "", |c| {
        c.syslog.is_some()
    }),
    row(Some('v'), "verbose", &["SENTRYPEER_VERBOSE"], "verbose = true", "", |c| {
        c.log_level == LevelFilter::Debug
    }),
    row(Some('d'), "debug", &["SENTRYPEER_DEBUG"], "debug = true", "", |c| {
        c.log_level == LevelFilter::Trace
    }),
    row(
        None,
        "sip-listen",
        &["SENTRYPEER_SIP_LISTEN"],
        "sip_listen = '[::1]:5060'",
        "[::1]:5060",
        |c| is(&c.sip_listen, "[::1]:5060"),
    ),
    row(
        None,
        "api-listen",
        &["SENTRYPEER_API_LISTEN"],
        "api_listen = '127.0.0.1:80'",
        "127.0.0.1:80",
        |c| is(&c.api.listen, "127.0.0.1:80"),
    ),
    row(None, "insecure-api", &["SENTRYPEER_INSECURE_API"], "insecure_api = true", "", |c| {
        c.api.insecure
    }),
    row(None, "api-unix", &["SENTRYPEER_API_UNIX"], "api_unix = 'x.sock'", "x.sock", |c| {
        c.api.unix.as_deref() == Some(Path::new("x.sock")) && c.api.listen.is_empty()
    }),
    with(
        &["--api-key=y"],
        row(None, "api-cert", &["SENTRYPEER_API_CERT"], "api_cert = 'x'", "x", |c| {
            c.api.certificate == Some(Certificate { cert: "x".into(), key: "y".into() })
        }),
    ),
    with(
        &["--api-cert=x"],
        row(None, "api-key", &["SENTRYPEER_API_KEY"], "api_key = 'y'", "y", |c| {
            c.api.certificate == Some(Certificate { cert: "x".into(), key: "y".into() })
        }),
    ),
    with(
        &["--api-cert=x", "--api-key=y"],
        row(
            None,
            "api-client-ca",
            &["SENTRYPEER_API_CLIENT_CA"],
            "api_client_ca = 'z'",
            "z",
            |c| c.api.client_ca.as_deref() == Some(Path::new("z")),
        ),
    ),
    row(
        None,
        "api-client-scopes",
        &["SENTRYPEER_API_CLIENT_SCOPES"],
        "api_client_scopes = ['write', 'read']",
        "write,read",
        |c| c.api.client_scopes.to_string() == "read write",
    ),
    row(
        None,
        "api-hosts",
        &["SENTRYPEER_API_HOSTS"],
        "api_hosts = ['a.example', 'b.example']",
        "a.example,b.example",
        |c| c.api.hosts == ["a.example", "b.example"],
    ),
    row(None, "api-rate", &["SENTRYPEER_API_RATE"], "api_rate = 7", "7", |c| {
        (c.api.rate.per_s, c.api.rate.burst) == (7, 14)
    }),
    row(
        None,
        "api-connections-per-address",
        &["SENTRYPEER_API_CONNECTIONS_PER_ADDRESS"],
        "api_connections_per_address = 7",
        "7",
        |c| c.api.connections_per_address == 7,
    ),
    row(None, "api-token-rate", &["SENTRYPEER_API_TOKEN_RATE"], "api_token_rate = 7", "7", |c| {
        c.api.token_rate.per_s == 7
    }),
    row(
        None,
        "dip-listen",
        &["SENTRYPEER_DIP_LISTEN"],
        "dip_listen = '[::1]:83'",
        "[::1]:83",
        |c| c.dip_listen.as_ref().unwrap().addr.to_string() == "[::1]:83",
    ),
    row(
        None,
        "proxy-protocol-from",
        &["SENTRYPEER_PROXY_PROTOCOL_FROM"],
        "proxy_protocol_from = ['10.0.0.0/8']",
        "10.0.0.0/8",
        |c| c.proxy_protocol_from == ["10.0.0.0/8".parse().unwrap()],
    ),
    row(
        None,
        "answer-rate-source",
        &["SENTRYPEER_ANSWER_RATE_SOURCE"],
        "answer_rate_source = 7",
        "7",
        |c| c.answer_rates.source == std::num::NonZeroU32::new(7),
    ),
    row(
        None,
        "answer-rate-network",
        &["SENTRYPEER_ANSWER_RATE_NETWORK"],
        "answer_rate_network = 0",
        "0",
        |c| c.answer_rates.network.is_none(),
    ),
    row(
        None,
        "answer-rate-total",
        &["SENTRYPEER_ANSWER_RATE_TOTAL"],
        "answer_rate_total = 7",
        "7",
        |c| c.answer_rates.total == std::num::NonZeroU32::new(7),
    ),
    row(None, "shards", &["SENTRYPEER_SHARDS"], "shards = 7", "7", |c| c.shards.get() == 7),
    row(None, "driver", &["SENTRYPEER_DRIVER"], "driver = 'poll'", "poll", |c| {
        c.driver == Driver::Poll
    }),
    row(None, "persona", &["SENTRYPEER_PERSONA"], "persona = 'asterisk'", "asterisk", |c| {
        c.conduct.persona.name == "asterisk"
    }),
    row(None, "calls", &["SENTRYPEER_CALLS"], "calls = '486'", "486", |c| {
        c.conduct.calls == Calls::Reject(486)
    }),
    row(None, "register-tries", &["SENTRYPEER_REGISTER_TRIES"], "register_tries = 7", "7", |c| {
        c.conduct.register_tries == 7
    }),
    row(None, "ring-ms", &["SENTRYPEER_RING_MS"], "ring_ms = 70", "70", |c| {
        c.conduct.rings_ms == 70
    }),
    row(None, "test-addresses", &["SENTRYPEER_TEST_ADDRESSES"], "test_addresses = true", "", |c| {
        c.test_addresses
    }),
    row(
        None,
        "events-keep-days",
        &["SENTRYPEER_EVENTS_KEEP_DAYS"],
        "events_keep_days = 9",
        "9",
        |c| c.kept.events_days == 9,
    ),
    row(
        None,
        "messages-keep-days",
        &["SENTRYPEER_MESSAGES_KEEP_DAYS"],
        "messages_keep_days = 2",
        "2",
        |c| c.kept.messages_days == Some(2),
    ),
    row(
        None,
        "hours-keep-days",
        &["SENTRYPEER_HOURS_KEEP_DAYS"],
        "hours_keep_days = 400",
        "400",
        |c| c.kept.hours() == 9_600,
    ),
    row(
        None,
        "log-size-max-mb",
        &["SENTRYPEER_LOG_SIZE_MAX_MB"],
        "log_size_max_mb = 500",
        "500",
        |c| c.kept.log_bytes_max() == 500_000_000,
    ),
    row(None, "allow", &["SENTRYPEER_ALLOW"], "allow = ['10.0.0.0/8']", "10.0.0.0/8", |c| {
        c.allowed.addresses == ["10.0.0.0/8".parse().unwrap()]
    }),
    row(
        None,
        "allow-numbers",
        &["SENTRYPEER_ALLOW_NUMBERS"],
        "allow_numbers = ['+44800*']",
        "+44800*",
        |c| c.allowed.numbers == ["+44800*".parse().unwrap()],
    ),
    row(None, "block-private", &["SENTRYPEER_BLOCK_PRIVATE"], "block_private = true", "", |c| {
        c.block_private
    }),
    row(None, "strict", &["SENTRYPEER_STRICT"], "strict = true", "", |c| {
        c.legacy_min_verification == Verification::ReturnPath
    }),
];

/// Those of this file, those of outputs, and those of sharing.
fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(compat_outputs::ROWS).chain(sharing::ROWS)
}

#[test]
fn every_setting_is_in_this_files_table() {
    let mut named: Vec<&str> = rows().map(|row| row.long).collect();
    // These are tested on their own.
    named.extend(["config", "check-config", "oauth2-client-secret-file", "allow-file"]);
    named.extend(["nats-user", "nats-password-file", "nats-token-file", "nats-credentials-file"]);
    named.extend(["share", "peers-legacy", "peer-pool-secret-file"]);
    named.extend(["api-any-origin", "webhook-url-file", "webhook-signing-secret-file"]);
    named.sort_unstable();
    let mut known: Vec<&str> = SETTINGS.iter().map(|setting| setting.long).collect();
    known.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn every_setting_works_as_a_flag() {
    for row in rows() {
        let long = format!("--{}", row.long);
        let short = row.short.map(|c| format!("-{c}"));
        for name in short.iter().chain([&long]) {
            let args = [name.as_str(), row.value];
            let start = flags(row.with).args(&args[..if row.value.is_empty() { 1 } else { 2 }]);
            assert!((row.holds)(&start.config()), "{name}");
        }
        if !row.value.is_empty() {
            let start = flags(row.with).args(&[&format!("--{}={}", row.long, row.value)]);
            assert!((row.holds)(&start.config()), "{long}=");
        }
    }
}

#[test]
fn every_setting_works_as_a_variable() {
    for row in rows() {
        for name in row.variables {
            let value = if row.value.is_empty() { "1" } else { row.value };
            assert!((row.holds)(&flags(row.with).env(name, value).config()), "{name}");
        }
    }
}

#[test]
fn every_setting_works_in_the_file() {
    for row in rows() {
        assert!((row.holds)(&flags(row.with).file(row.line).config()), "{}", row.line);
    }
}

#[test]
fn every_row_tests_something_that_is_not_the_default() {
    for row in rows().filter(|row| row.with.is_empty()) {
        let holds = std::panic::catch_unwind(|| (row.holds)(&flags(&[]).config()));
        assert!(!holds.unwrap_or(false), "{}", row.long);
    }
}

#[test]
fn without_any_setting_the_defaults_hold() {
    let config = flags(&[]).config();
    assert_eq!(config.db, Path::new("sentrypeer.redb"));
    assert_eq!(addresses(&config.sip_listen), ["0.0.0.0:5060", "[::]:5060"]);
    assert_eq!(addresses(&config.tls_listen), ["0.0.0.0:5061", "[::]:5061"]);
    assert!(config.sip_listen.iter().chain(&config.tls_listen).all(Listen::defaulted));
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(config.shards.get(), processors.min(256));
    assert_eq!(config.driver, Driver::Auto);
    assert_eq!(config.conduct, Conduct::default());
    assert_eq!(config.legacy_min_verification, Verification::Unverified);
    assert_eq!(config.log_level, LevelFilter::Info);
    assert!(!config.responsive && config.syslog.is_none() && !config.test_addresses);
    assert!(config.api.listen.is_empty() && config.dip_listen.is_none());
    assert!(config.json_log.is_none() && config.webhooks.is_empty() && config.sharing.is_none());
    assert!(config.certificate.is_none() && config.config_file.is_none());
}

#[test]
fn what_the_api_allows_by_default_is_what_its_front_says() {
    use sentrypeer_http::access::Settings;
    use sentrypeer_http::front::AddressLimits;
    let (api, limits, usual) =
        (flags(&[]).config().api, AddressLimits::default(), Settings::default());
    assert_eq!((api.connections_per_address, api.rate), (limits.connections, limits.rate));
    assert_eq!((api.client_scopes, api.token_rate), (usual.certificate_scopes, usual.token_rate));
    assert!(api.any_origin && !api.is_on());
    assert!(!flags(&["--api-any-origin=off"]).config().api.any_origin);
    assert!(flags(&["-a"]).file("api_any_origin = false").config().api.is_on());
}

#[test]
fn naming_the_socket_of_the_api_opens_that_alone() {
    let api = flags(&["--api-unix=x"]).config().api;
    assert!(api.listen.is_empty() && api.unix.is_some());
    let api = flags(&["--api-unix=x", "-a"]).config().api;
    assert!(api.listen.len() == 1 && api.unix.is_some());
    assert!(!file("api_unix = 'x'").args(&["--api=off"]).config().api.is_on());
}

#[test]
fn short_flags_combine() {
    let config = flags(&["-jar"]).config();
    assert!(config.json_log.is_some() && config.responsive && !config.api.listen.is_empty());
    let config = flags(&["-jarlx.log", "-sNfx.redb"]).config();
    assert_eq!(config.json_log.as_ref().map(|log| log.path.as_path()), Some(Path::new("x.log")));
    assert_eq!(config.db, Path::new("x.redb"));
    assert!(config.syslog.is_some() && config.responsive && config.tls_listen.is_empty());
}

#[test]
fn a_switch_does_not_take_the_next_argument() {
    assert_eq!(flags(&["-a", "status"]).load().unwrap().command, Command::Status);
    assert_eq!(flags(&["--api", "status"]).load().unwrap().command, Command::Status);
}

#[test]
fn the_last_of_a_repeated_flag_counts_and_addresses_add_up() {
    let config = flags(&["--driver", "uring", "-f", "x", "--driver", "poll", "-f", "y"]).config();
    assert_eq!((config.driver, config.db.as_path()), (Driver::Poll, Path::new("y")));
    assert!(flags(&["-vv", "-a", "--api=off", "-a"]).config().api.listen.len() == 1);
    let config = flags(&["-z", "127.0.0.1:1", "--tls-listen", "127.0.0.1:2"]).config();
    assert_eq!(addresses(&config.tls_listen), ["127.0.0.1:1", "127.0.0.1:2"]);
    assert!(!config.tls_listen[0].defaulted());
}

#[test]
fn the_flags_of_the_node_may_stand_before_and_behind_a_subcommand() {
    for args in [["-f", "x", "export", "ipset"], ["export", "-f", "x", "ipset"]] {
        assert_eq!(flags(&args).config().db, Path::new("x"));
    }
    let loaded = flags(&["-jar", "export", "ipset", "-f", "x", "--shards", "3"]).load().unwrap();
    assert_eq!(loaded.config.db, Path::new("x"));
    assert_eq!(loaded.config.shards.get(), 3);
    assert!(loaded.config.responsive);
}

#[test]
fn export_ipset_takes_its_options() {
    let plain = ExportIpset {
        document: IpsetDocument::Full,
        family: None,
        set: None,
        timeout_s: None,
        min_verification: None,
        allow_empty: false,
    };
    let command = flags(&["export", "ipset"]).load().unwrap().command;
    assert_eq!(command, Command::ExportIpset(plain));
    let args = "export ipset --document refresh --family 6 --set bad --timeout 3600 \
                --min-verification unverified --allow-empty";
    let args: Vec<&str> = args.split_whitespace().collect();
    let asked = ExportIpset {
        document: IpsetDocument::Refresh,
        family: Some(IpsetFamily::V6),
        set: Some("bad".into()),
        timeout_s: Some(3600),
        min_verification: Some(Verification::Unverified),
        allow_empty: true,
    };
    assert_eq!(flags(&args).load().unwrap().command, Command::ExportIpset(asked));
}

#[test]
fn the_commands_are_told_apart() {
    assert_eq!(flags(&[]).load().unwrap().command, Command::Run);
    assert_eq!(flags(&["healthcheck"]).load().unwrap().command, Command::Healthcheck);
    assert_eq!(flags(&["status"]).load().unwrap().command, Command::Status);
    assert_eq!(flags(&["--check-config"]).load().unwrap().command, Command::CheckConfig);
    assert_eq!(flags(&["--check-config", "status"]).load().unwrap().command, Command::CheckConfig);
    assert_eq!(env("SENTRYPEER_CHECK_CONFIG", "1").load().unwrap().command, Command::CheckConfig);
}
