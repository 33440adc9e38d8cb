//! What is new beside the outputs of SentryPeer 4.x.

use sentrypeer_export::line::{Clock, Format};
use sentrypeer_export::syslog::{Framing, Settings as To};
use sentrypeer_export::webhook::Form;
use sentrypeer_storage::event::Transport;

use super::compat::{Row, row, with};
use super::*;

fn syslog(config: &Config) -> &To {
    &config.syslog.as_ref().unwrap().to
}

fn nats(config: &Config) -> &Nats {
    config.nats.as_ref().unwrap()
}

pub(super) const ROWS: &[Row] = &[
    with(
        &["-j"],
        row(
            None,
            "json-log-format",
            &["SENTRYPEER_JSON_LOG_FORMAT"],
            "json_log.format = 'ecs'",
            "ecs",
            |c| c.json_log.as_ref().unwrap().format == Format::Ecs,
        ),
    ),
    with(
        &["-j"],
        row(None, "log-time", &["SENTRYPEER_LOG_TIME"], "log_time = 'local'", "local", |c| {
            c.json_log.as_ref().unwrap().clock == Clock::Local
        }),
    ),
    with(
        &["-s"],
        row(
            None,
            "syslog-target",
            &["SENTRYPEER_SYSLOG_TARGET"],
            "syslog.target = 'journald'",
            "journald",
            |c| matches!(syslog(c), To::Journald(_)),
        ),
    ),
    with(
        &["-s", "--syslog-target=udp"],
        row(
            None,
            "syslog-address",
            &["SENTRYPEER_SYSLOG_ADDRESS"],
            "syslog.address = 'x.example:514'",
            "x.example:514",
            |c| *syslog(c) == To::Udp("x.example:514".to_owned()),
        ),
    ),
    with(
        &["-s", "--syslog-target=tcp", "--syslog-address=x.example:514"],
        row(
            None,
            "syslog-framing",
            &["SENTRYPEER_SYSLOG_FRAMING"],
            "syslog.framing = 'lines'",
            "lines",
            |c| matches!(syslog(c), To::Tcp { framing: Framing::Lines, .. }),
        ),
    ),
    with(
        &["-s", "--syslog-target=tls", "--syslog-address=x.example:514"],
        row(
            None,
            "syslog-ca-file",
            &["SENTRYPEER_SYSLOG_CA_FILE"],
            "syslog.ca_file = 'x'",
            "x",
            |c| matches!(syslog(c), To::Tls { ca_file: Some(_), .. }),
        ),
    ),
    with(
        &["-s"],
        row(
            None,
            "syslog-min-verification",
            &["SENTRYPEER_SYSLOG_MIN_VERIFICATION"],
            "syslog.min_verification = 'connected'",
            "connected",
            |c| c.syslog.as_ref().unwrap().min_verification == Verification::Connected,
        ),
    ),
    row(None, "sqlite", &["SENTRYPEER_SQLITE"], "sqlite.file = 'x.db'", "x.db", |c| {
        c.sqlite.as_ref().unwrap().file == Path::new("x.db")
    }),
    with(
        &["--sqlite=x"],
        row(
            None,
            "sqlite-with-port",
            &["SENTRYPEER_SQLITE_WITH_PORT"],
            "sqlite.with_port = true",
            "",
            |c| c.sqlite.as_ref().unwrap().with_port,
        ),
    ),
    row(
        None,
        "nats",
        &["SENTRYPEER_NATS"],
        "nats.servers = ['tls://x.example:4222']",
        "tls://x.example:4222",
        |c| nats(c).servers == ["tls://x.example:4222"],
    ),
    with(
        &["--nats=nats://x"],
        row(
            None,
            "nats-subject",
            &["SENTRYPEER_NATS_SUBJECT"],
            "nats.subject = 'pot'",
            "pot",
            |c| nats(c).subject == "pot",
        ),
    ),
    with(
        &["--nats=nats://x"],
        row(None, "nats-ca-file", &["SENTRYPEER_NATS_CA_FILE"], "nats.ca_file = 'x'", "x", |c| {
            nats(c).ca_file.is_some()
        }),
    ),
    with(
        &["-w", "https://x.example"],
        row(
            None,
            "webhook-form",
            &["SENTRYPEER_WEBHOOK_FORM"],
            "webhook.form = 'lines'",
            "lines",
            |c| c.webhooks[0].form == Form::Lines,
        ),
    ),
    with(
        &["-w", "https://x.example"],
        row(
            None,
            "webhook-events",
            &["SENTRYPEER_WEBHOOK_EVENTS"],
            "webhook.events = 7",
            "7",
            |c| c.webhooks[0].events == 7,
        ),
    ),
    with(
        &["-w", "https://x.example"],
        row(None, "webhook-gzip", &["SENTRYPEER_WEBHOOK_GZIP"], "webhook.gzip = true", "", |c| {
            c.webhooks[0].gzip
        }),
    ),
    with(
        &["-w", "https://x.example"],
        row(
            None,
            "webhook-ca-file",
            &["SENTRYPEER_WEBHOOK_CA_FILE"],
            "webhook.ca_file = 'x'",
            "x",
            |c| c.webhooks[0].ca_file.is_some(),
        ),
    ),
    with(
        &["-w", "https://x.example"],
        row(
            None,
            "webhook-dead-letter-file",
            &["SENTRYPEER_WEBHOOK_DEAD_LETTER_FILE"],
            "webhook.dead_letter_file = 'x'",
            "x",
            |c| c.webhooks[0].dead_letter_file.is_some(),
        ),
    ),
    with(
        &["-w", "https://x.example"],
        row(
            None,
            "webhook-min-verification",
            &["SENTRYPEER_WEBHOOK_MIN_VERIFICATION"],
            "webhook.min_verification = 'tls'",
            "tls",
            |c| c.webhooks[0].filter.min_verification == Verification::Tls,
        ),
    ),
    with(
        &["-w", "https://x.example"],
        row(
            None,
            "webhook-methods",
            &["SENTRYPEER_WEBHOOK_METHODS"],
            "webhook.methods = ['INVITE', 'X']",
            "INVITE,X",
            |c| c.webhooks[0].filter.methods == ["INVITE", "X"],
        ),
    ),
    with(
        &["-w", "https://x.example"],
        row(
            None,
            "webhook-transports",
            &["SENTRYPEER_WEBHOOK_TRANSPORTS"],
            "webhook.transports = ['tcp', 'TLS']",
            "tcp,TLS",
            |c| c.webhooks[0].filter.transports == [Transport::Tcp, Transport::Tls],
        ),
    ),
    with(
        &["-w", "https://x.example"],
        row(
            None,
            "webhook-with-number",
            &["SENTRYPEER_WEBHOOK_WITH_NUMBER"],
            "webhook.with_number = true",
            "",
            |c| c.webhooks[0].filter.with_number,
        ),
    ),
    with(
        &["-w", "https://x.example"],
        row(
            None,
            "webhook-without-allowed",
            &["SENTRYPEER_WEBHOOK_WITHOUT_ALLOWED"],
            "webhook.without_allowed = true",
            "",
            |c| c.webhooks[0].filter.without_allowed,
        ),
    ),
    with(
        &["-w", "https://x.example", "-i", "i", "-c", "s"],
        row(
            None,
            "oauth2-token-url",
            &["SENTRYPEER_OAUTH2_TOKEN_URL"],
            "webhook.token_url = 'https://t.example'",
            "https://t.example",
            |c| c.webhooks[0].credentials.as_ref().unwrap().token_url == "https://t.example",
        ),
    ),
    with(
        &["-w", "https://x.example", "-i", "i", "-c", "s"],
        row(
            None,
            "oauth2-audience",
            &["SENTRYPEER_OAUTH2_AUDIENCE"],
            "webhook.audience = 'x'",
            "x",
            |c| c.webhooks[0].credentials.as_ref().unwrap().audience == "x",
        ),
    ),
];

#[test]
fn a_secret_of_a_webhook_is_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "https://x.example/hunter2\n").unwrap();
    let named = |key: &str| format!("webhook.{key} = '{}'", path.display());
    let config = file(named("url_file")).config();
    assert_eq!(config.webhooks[0].url.reveal(), "https://x.example/hunter2");
    let text = config.describe();
    assert!(!text.contains("hunter2") && text.contains("webhook.url_file"), "{text}");
    let config = flags(&["-w", "https://x.example"]).file(named("signing_secret_file")).config();
    assert_eq!(
        config.webhooks[0].signing.as_ref().unwrap().0.reveal(),
        "https://x.example/hunter2"
    );
    assert!(!config.describe().contains("hunter2"));
    let both = flags(&["-w", "https://x.example"]).file(named("url_file")).error();
    assert!(both.contains("both this and --webhook give it; leave one out"), "{both}");
}

#[test]
fn a_file_has_more_webhooks_each_with_its_own_settings() {
    let text = "webhook.url = 'https://a.example'\nwebhook.gzip = true\n\
                [webhooks.fraud]\nurl = 'https://b.example/hunter2'\nmethods = ['INVITE']\n\
                client_id = 'i'\nclient_secret = 'hunter2'\n\
                [webhooks.siem]\nurl = 'https://c.example'\nform = 'lines'\nevents = 9\n";
    let config = file(text).config();
    let names: Vec<&str> = config.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
    assert_eq!(names, ["webhook", "webhook.fraud", "webhook.siem"]);
    let [first, fraud, siem] = &config.webhooks[..] else { panic!() };
    assert!(first.gzip && !fraud.gzip && first.filter.methods.is_empty());
    assert_eq!(fraud.filter.methods, ["INVITE"]);
    assert_eq!(fraud.credentials.as_ref().unwrap().secret.reveal(), "hunter2");
    assert_eq!((siem.form, siem.events, fraud.events), (Form::Lines, 9, 500));
    let said = config.describe();
    assert!(!said.contains("hunter2") && said.contains("webhooks.siem.events = 9\n"), "{said}");
    let other = file(text.replace("events = 9", "events = 8")).config();
    assert_eq!(restart_keys(&config, &other), ["webhook.url"]);
}

#[test]
fn what_is_wrong_with_more_webhooks_has_its_place() {
    for (text, said) in [
        ("webhooks = 1", "1:1: \"webhooks\" is a table; write [webhooks.NAME] above"),
        ("webhooks.x = 1", "1:10: \"webhooks\" is a table"),
        ("[webhooks.x]\ngzip = true", "1:11: has no URL; set webhook.url"),
        ("[webhooks.x]\nurl = 'ftp://x'", "2:7: webhook.url: this is not an http or https URL"),
        ("[webhooks.x]\nurl = 1", "2:7: webhook.url: expected a string"),
        (
            "[webhooks.x]\nurk = 'x'",
            "2:1: unknown key \"webhook.urk\"; did you mean \"webhook.url\"?",
        ),
        (
            "[webhooks.'A B']\nurl = 'https://x.example'",
            "1:11: \"A B\" is not a name for a webhook",
        ),
    ] {
        let error = file(text).error();
        assert!(error.contains(&format!("config.toml:{said}")), "{error}");
    }
    let many: String =
        (0..29).map(|n| format!("[webhooks.x{n}]\nurl = 'https://x.example'\n")).collect();
    let error = file(many).error();
    assert!(error.contains("29 webhooks are named, and 27 is the most"), "{error}");
}

#[test]
fn words_of_outputs_have_their_remedy() {
    for (args, said) in [
        (
            ["-j", "--json-log-format=xml"],
            "\"xml\" is not known here; write one of sentrypeer, tpot, ecs",
        ),
        (["-s", "--syslog-target=tcp"], "--syslog-target: a daemon elsewhere needs an address"),
        (
            ["--syslog-target=udp", "--syslog-address=x"],
            "\"x\" is not a host with an optional port",
        ),
        (["-j", "--webhook-methods=A B(C)"], "\"B(C)\" is not a method"),
    ] {
        let error = flags(&args).error();
        assert!(error.contains(said), "{error}");
    }
    // An address that nothing needs may be missing.
    assert!(flags(&["--syslog-target=tcp"]).config().syslog.is_none());
}
