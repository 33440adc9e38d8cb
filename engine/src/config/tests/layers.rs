//! Which layer wins, and what each takes.

use super::*;

/// A setting of one kind, with a value for each layer, weakest first.
struct Case {
    lines: [&'static str; 2],
    variable: &'static str,
    flag: &'static str,
    /// Its value in file, environment and flag.
    values: [&'static str; 3],
    read: fn(&Config) -> String,
}

fn first(listens: &[Listen]) -> String {
    listens.first().map(|listen| listen.addr.to_string()).unwrap_or_default()
}

const CASES: [Case; 6] = [
    Case {
        lines: ["responsive = ", ""],
        variable: "SENTRYPEER_SIP_RESPONSIVE",
        flag: "--responsive=",
        values: ["true", "false", "true"],
        read: |config| config.responsive.to_string(),
    },
    Case {
        lines: ["responsive = ", ""],
        variable: "SENTRYPEER_SIP_RESPONSIVE",
        flag: "--responsive=",
        values: ["false", "true", "false"],
        read: |config| config.responsive.to_string(),
    },
    Case {
        lines: ["shards = ", ""],
        variable: "SENTRYPEER_SHARDS",
        flag: "--shards=",
        values: ["101", "102", "103"],
        read: |config| config.shards.to_string(),
    },
    Case {
        lines: ["db = '", "'"],
        variable: "SENTRYPEER_DB_FILE",
        flag: "--db=",
        values: ["one", "two", "three"],
        read: |config| config.db.display().to_string(),
    },
    Case {
        lines: ["sip_listen = ['", "']"],
        variable: "SENTRYPEER_SIP_LISTEN",
        flag: "--sip-listen=",
        values: ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"],
        read: |config| first(&config.sip_listen),
    },
    Case {
        lines: ["tls_listen_address = '", "'"],
        variable: "SENTRYPEER_TLS_LISTEN_ADDRESS",
        flag: "--tls-listen=",
        values: ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"],
        read: |config| first(&config.tls_listen),
    },
];

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_default() {
    for case in &CASES {
        let default = (case.read)(&flags(&[]).config());
        for layers in 0..8_usize {
            let mut start = Start::default();
            if layers & 1 != 0 {
                start = start.file(case.lines.join(case.values[0]));
            }
            if layers & 2 != 0 {
                start = start.env(case.variable, case.values[1]);
            }
            if layers & 4 != 0 {
                start = start.args(&[&format!("{}{}", case.flag, case.values[2])]);
            }
            let expected = match layers {
                0 => default.as_str(),
                _ => case.values[usize::try_from(layers.ilog2()).unwrap()],
            };
            assert_eq!((case.read)(&start.config()), expected, "{} {layers:03b}", case.flag);
        }
    }
}

#[test]
fn a_list_replaces_the_weaker_layers_list() {
    let start = file("sip_listen = ['127.0.0.1:1', '127.0.0.1:2']");
    assert_eq!(addresses(&start.config().sip_listen), ["127.0.0.1:1", "127.0.0.1:2"]);
    let start = start.args(&["--sip-listen", "127.0.0.1:3"]);
    assert_eq!(addresses(&start.config().sip_listen), ["127.0.0.1:3"]);
}

#[test]
fn an_empty_value_goes_back_to_the_default() {
    let start = file("webhook.url = 'https://x.example'\ndb = 'x'\nsip_listen = '127.0.0.1:1'");
    let config =
        start.env("SENTRYPEER_DB_FILE", "").args(&["--webhook=", "--sip-listen="]).config();
    assert!(config.webhooks.is_empty());
    assert_eq!(config.db, Path::new("sentrypeer.redb"));
    assert_eq!(config.sip_listen.len(), 2);
    assert!(config.sip_listen[0].defaulted());
    assert_eq!(config.origin(Id::Db), &Origin::Default);
}

#[test]
fn every_switch_knows_the_words_for_on_and_off() {
    for setting in SETTINGS.iter().filter(|s| s.kind == Kind::Switch && s.key.is_some()) {
        let read = |start: Start| match start.config().effective(setting.id) {
            describe::Effective::Shown(text) => text == "true",
            _ => panic!("{} has no value", setting.long),
        };
        // Without a webhook its switches are switches of nothing; and so on.
        let usual = ["--webhook=https://x.example", "--sqlite=x", "-p"];
        let used = if setting.id == Id::PeerToPeer { &usual[..2] } else { &usual };
        let file = |text: &str| file(text).args(used);
        // The switch is first set the other way round in the file.
        let key = setting.key.unwrap();
        for (words, on) in [
            (["1", "true", "yes", "on", "YES", " On "].as_slice(), true),
            (&["0", "false", "no", "off", "", "OFF"], false),
        ] {
            for word in words {
                let below = format!("{key} = {}", !on);
                for variable in setting.environment {
                    assert_eq!(read(file(&below).env(variable, word)), on, "{variable}={word}");
                }
                let flag = format!("--{}={word}", setting.long);
                assert_eq!(read(file(&below).args(&[&flag])), on, "{flag}");
            }
        }
    }
}

#[test]
fn a_list_in_the_environment_is_separated_by_commas_or_blanks() {
    for list in ["127.0.0.1:1,[::1]:2", "127.0.0.1:1 [::1]:2", " 127.0.0.1:1 , [::1]:2, "] {
        let config = env("SENTRYPEER_SIP_LISTEN", list).config();
        assert_eq!(addresses(&config.sip_listen), ["127.0.0.1:1", "[::1]:2"], "{list}");
    }
}

#[test]
fn of_two_variables_the_first_that_says_something_counts() {
    let url = |start: Start| start.config().webhooks[0].url.reveal().to_owned();
    let both =
        |first, second| env("SENTRYPEER_WEBHOOK", second).env("SENTRYPEER_WEBHOOK_URL", first);
    assert_eq!(url(both("https://a.example", "https://b.example")), "https://a.example");
    assert_eq!(url(both("", "https://b.example")), "https://b.example");
    let warnings = both("https://a.example", "https://b.example").warnings();
    assert_eq!(
        warnings,
        ["SENTRYPEER_WEBHOOK: ignored, because SENTRYPEER_WEBHOOK_URL says something else"]
    );
    assert!(both("https://a.example", "https://a.example").warnings().is_empty());
}

#[test]
fn naming_an_address_of_the_api_switches_it_on() {
    assert_eq!(flags(&["--api-listen", "127.0.0.1:80"]).config().api.listen.len(), 1);
    // What the same or a stronger layer says counts more.
    assert!(flags(&["--api-listen", "127.0.0.1:80", "--api=off"]).config().api.listen.is_empty());
    let start = file("api_listen = '127.0.0.1:80'").args(&["--api=off"]);
    assert!(start.config().api.listen.is_empty());
    let start = file("api = false").env("SENTRYPEER_API_LISTEN", "127.0.0.1:80");
    let config = start.config();
    assert_eq!(addresses(&config.api.listen), ["127.0.0.1:80"]);
    assert_eq!(config.origin(Id::Api), &Origin::Environment("SENTRYPEER_API_LISTEN"));
}

#[test]
fn the_dip_lane_comes_with_the_api_or_by_its_own_name() {
    let lane = |args: &[&str]| flags(args).config().dip_listen.map(|l| l.addr.to_string());
    assert_eq!(lane(&[]), None);
    assert_eq!(lane(&["-a"]).as_deref(), Some("127.0.0.1:8083"));
    assert_eq!(lane(&["-a", "--dip-listen", "none"]), None);
    assert_eq!(lane(&["--dip-listen", "127.0.0.1:83"]).as_deref(), Some("127.0.0.1:83"));
    assert_eq!(
        lane(&["-a", "--dip-listen", "[::ffff:127.0.0.1]:83"]).as_deref(),
        Some("127.0.0.1:83")
    );
}

#[test]
fn port_zero_may_be_named_often() {
    let config = flags(&["--sip-listen", "127.0.0.1:0", "-z", "127.0.0.1:0"]);
    let config = config.args(&["--api-listen", "127.0.0.1:0", "--dip-listen=127.0.0.1:0"]).config();
    assert_eq!(config.sip_listen[0].addr, config.tls_listen[0].addr);
}

#[test]
fn no_sip_leaves_the_certificate_for_whoever_needs_it() {
    let config = flags(&["-R", "-t", "x", "-k", "y"]).config();
    assert!(config.sip_listen.is_empty() && config.tls_listen.is_empty());
    assert!(config.certificate.is_some());
}

#[test]
fn a_table_may_be_written_either_way() {
    for text in [
        "json_log.enabled = true\njson_log.file = 'x'",
        "[json_log]\nenabled = true\nfile = 'x'",
        "json_log = { enabled = true, file = 'x' }",
    ] {
        assert_eq!(file(text).config().json_log.unwrap().path, Path::new("x"));
    }
}

#[test]
fn a_named_file_is_read_instead_of_the_default_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    fs::write(&path, "shards = 9").unwrap();
    let path = path.to_str().unwrap();
    for start in [
        file("shards = 8").args(&["-g", path]),
        file("shards = 8").env("SENTRYPEER_CONFIG_FILE", path),
        file("shards = 8").env("SENTRYPEER_CONFIG_FILE", "missing").args(&["--config", path]),
    ] {
        let config = start.config();
        assert_eq!(config.shards.get(), 9);
        assert_eq!(config.config_file.as_deref(), Some(Path::new(path)));
    }
}

#[test]
fn a_missing_default_file_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    for home in [folder.path(), Path::new("/dev/null"), Path::new("/nonexistent")] {
        let start = Start { home: Some(home.to_owned()), ..Start::default() };
        assert_eq!(start.config().config_file, None);
    }
}

#[test]
fn every_value_knows_its_origin() {
    let start = file("\nshards = 9").env("SENTRYPEER_SYSLOG", "1").args(&["-r"]);
    let config = start.config();
    assert_eq!(config.origin(Id::Responsive), &Origin::Flag("responsive"));
    assert_eq!(config.origin(Id::Syslog), &Origin::Environment("SENTRYPEER_SYSLOG"));
    assert_eq!(config.origin(Id::Db), &Origin::Default);
    assert!(config.origin(Id::Shards).to_string().ends_with("default-config.toml:2:10"));
}

#[cfg(unix)]
#[test]
fn a_path_need_not_be_utf8_but_a_word_must() {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = || OsString::from_vec(vec![b'x', 0xff]);
    let start = Start { args: vec!["-f".into(), odd()], ..Start::default() };
    assert_eq!(start.config().db.as_os_str(), odd());
    for flag in ["--sip-listen", "--shards", "--driver", "--webhook"] {
        let start = Start { args: vec![flag.into(), odd()], ..Start::default() };
        assert_eq!(start.error(), format!("{flag}: the text is not UTF-8"));
    }
    let start = Start { environment: vec![("SENTRYPEER_API".into(), odd())], ..Start::default() };
    assert_eq!(start.error(), "SENTRYPEER_API: the text is not UTF-8");
}

#[test]
fn the_description_is_a_file_that_gives_the_same_configuration() {
    for args in [
        "",
        "-jarvs --strict --test-addresses --shards 3 --driver poll -f x.redb -l y\".log",
        "-aN --api-listen 0.0.0.0:82 --insecure-api --dip-listen none -d -p -b [2001:db8::1]:5",
        "-R -t a -k b",
        "-j --json-log-format tpot --log-time local -s --syslog-target tcp --syslog-address x.example:1",
        "-s --syslog-target tls --syslog-address x.example:1 --syslog-ca-file x --sqlite x",
        "--nats nats://x:1,tls://[::1]:2 --nats-subject pot --nats-ca-file x",
        "-a --api-cert x --api-key y --api-client-ca z --api-client-scopes read --api-any-origin=off",
        "--api-unix x.sock --api-hosts a.example,b.example --api-rate 9 --api-token-rate 8",
        "--proxy-protocol-from 10.0.0.0/8,2001:db8::7 --answer-rate-source 0 --answer-rate-total 9",
        "--allow 10.0.0.0/8,2001:db8::7 --allow-numbers +44800*,112 --block-private",
        "--sip-listen [fe80::1%2]:5060 -z 127.0.0.1:0 -z 127.0.0.1:0",
    ] {
        let args: Vec<&str> = args.split_whitespace().collect();
        let first = flags(&args).config();
        let text = first.describe();
        let second = file(&text).config();
        for setting in SETTINGS {
            assert!(first.effective(setting.id) == second.effective(setting.id), "{text}");
        }
        assert_eq!(restart_keys(&first, &second), [""; 0]);
    }
}

#[test]
fn a_reload_names_what_needs_a_restart() {
    let old = flags(&[]).config();
    assert_eq!(restart_keys(&old, &flags(&[]).config()), [""; 0]);
    let at_once = ["-v", "--strict", "-t", "a", "-k", "b", "--proxy-protocol-from", "10.0.0.1"];
    assert_eq!(restart_keys(&old, &flags(&at_once).config()), [""; 0]);
    let allowed = ["--allow", "10.0.0.1", "--allow-numbers", "112", "--block-private"];
    assert_eq!(restart_keys(&old, &flags(&allowed).config()), [""; 0]);
    let args = ["-v", "--strict", "-t", "a", "-k", "b", "--sip-listen", "127.0.0.1:1", "-r"];
    assert_eq!(restart_keys(&old, &flags(&args).config()), ["sip_listen", "responsive"]);
    let tls = |pair: [&str; 2]| {
        let [cert, key] = pair.map(str::to_owned);
        flags(&["-a", &format!("--api-cert={cert}"), &format!("--api-key={key}")]).config()
    };
    assert_eq!(restart_keys(&tls(["a", "b"]), &tls(["c", "d"])), [""; 0]);
    assert_eq!(restart_keys(&flags(&["-a"]).config(), &tls(["c", "d"])), ["api_cert", "api_key"]);
    let kept = ["--hours-keep-days=9", "--log-size-max-mb=99", "--events-keep-days=7"];
    let needed = ["hours_keep_days", "log_size_max_mb"];
    assert_eq!(restart_keys(&old, &flags(&kept).config()), needed);
}

#[test]
fn a_reload_notices_what_is_hidden() {
    let hook = |path: &str, secret: &str| {
        flags(&["-w", &format!("https://x.example/{path}"), "-i", "i", "-c", secret]).config()
    };
    let needs = |new: &Config| restart_keys(&hook("a", "s"), new);
    assert_eq!(needs(&hook("b", "s")), ["webhook.url"]);
    assert_eq!(needs(&hook("a", "t")), ["webhook.client_secret"]);
    assert_eq!(needs(&hook("a", "s")), [""; 0]);
}
