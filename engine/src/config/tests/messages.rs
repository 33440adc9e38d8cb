//! What the operator is told: the place, what is wrong, and what to do.

use super::*;

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_known_one() {
    assert_eq!(
        file("# x\n\n  responsiv = true\n").error(),
        "config.toml:3:3: unknown key \"responsiv\"; did you mean \"responsive\"?"
    );
    assert_eq!(
        file("[json_log]\nenabled = true\n fil = 'x'").error(),
        "config.toml:3:2: unknown key \"json_log.fil\"; did you mean \"json_log.file\"?"
    );
    assert_eq!(
        file("[colours]\nx = 1").error(),
        "config.toml:1:2: unknown key \"colours\"; \"sentrypeer --help\" names every key"
    );
    // What a key holds cannot write to the terminal.
    assert!(file("\"\\u001b[31m\" = 1").error().contains(r#"unknown key "\u{1b}[31m""#));
}

#[test]
fn a_wrong_type_is_refused_with_its_place_and_an_example() {
    const SWITCH: &str = "expected true or false, not";
    const NUMBER: &str = "expected a whole number, not";
    const VALUE: &str = "expected a string, not";
    const LIST: &str = "expected a string or a list of strings, not";
    for (text, place, expected, found) in [
        ("api = 1", "1:7: api", SWITCH, "a whole number; write api = true"),
        ("api = 'yes'", "1:7: api", SWITCH, "a text; write api = true"),
        ("[api]\nx = 1", "1:1: api", SWITCH, "a table; write api = true"),
        ("shards = '2'", "1:10: shards", NUMBER, "a text; write shards = 2"),
        ("shards = 2.5", "1:10: shards", NUMBER, "a number with a fraction; write shards = 2"),
        ("db = ['x']", "1:6: db", VALUE, "a list; write db = \"sentrypeer.redb\""),
        ("db = 1979-05-27", "1:6: db", VALUE, "a date; write db = \"sentrypeer.redb\""),
        ("cert = true", "1:8: cert", VALUE, "true or false; write cert = \"FILE\""),
        (
            "sip_listen = 5060",
            "1:14: sip_listen",
            LIST,
            "a whole number; write sip_listen = [\"0.0.0.0:5060\"]",
        ),
        (
            "sip_listen = ['0.0.0.0:1',\n 2]",
            "2:2: sip_listen",
            LIST,
            "a whole number; write sip_listen = [\"0.0.0.0:5060\"]",
        ),
    ] {
        assert_eq!(file(text).error(), format!("config.toml:{place}: {expected} {found}"));
    }
    assert_eq!(
        file("json_log = true").error(),
        "config.toml:1:1: \"json_log\" is a table; write json_log.enabled = true"
    );
}

#[test]
fn an_address_without_a_port_is_refused_with_the_remedy_on_every_layer() {
    assert_eq!(
        file("\ntls_listen_address = \"0.0.0.0\"").error(),
        "config.toml:2:22: tls_listen_address: \"0.0.0.0\" has no port; write \"0.0.0.0:5061\""
    );
    assert_eq!(
        file("sip_listen = [\"127.0.0.1:1\",\n  \"::1\"]").error(),
        "config.toml:2:3: sip_listen: \"::1\" is an IPv6 address without brackets; \
         write \"[::1]:5060\""
    );
    assert_eq!(
        env("SENTRYPEER_TLS_LISTEN_ADDRESS", "0.0.0.0").error(),
        "SENTRYPEER_TLS_LISTEN_ADDRESS: \"0.0.0.0\" has no port; write \"0.0.0.0:5061\""
    );
    assert_eq!(
        flags(&["-z", "[::1]"]).error(),
        "--tls-listen: \"[::1]\" has no port; write \"[::1]:5061\""
    );
    assert_eq!(
        flags(&["--api-listen", "127.0.0.1"]).error(),
        "--api-listen: \"127.0.0.1\" has no port; write \"127.0.0.1:8082\""
    );
    assert_eq!(
        flags(&["--dip-listen", "::1"]).error(),
        "--dip-listen: \"::1\" is an IPv6 address without brackets; write \"[::1]:8083\""
    );
}

#[test]
fn an_address_that_is_not_in_use_is_checked_all_the_same() {
    assert!(flags(&["-N", "-z", "x"]).error().starts_with("--tls-listen: "));
    assert!(flags(&["--api=off", "--api-listen", "x"]).error().starts_with("--api-listen: "));
    assert!(flags(&["-b", "x:y"]).error().starts_with("--bootstrap: "));
}

#[test]
fn all_that_is_wrong_is_said_at_once_by_layer_and_line() {
    let start = file("sip_listen = '0.0.0.0'\nnonsense = 1\nshards = 'x'\n");
    let start = start.env("SENTRYPEER_API", "perhaps").args(&["--driver", "fast", "-r=maybe"]);
    let error = start.error();
    let places: Vec<&str> = error.lines().map(|line| line.split_once(": ").unwrap().0).collect();
    assert_eq!(
        places,
        [
            "config.toml:1:14",
            "config.toml:2:1",
            "config.toml:3:10",
            "SENTRYPEER_API",
            "--responsive",
            "--driver"
        ]
    );
}

#[test]
fn of_very_many_problems_the_first_are_shown_and_the_rest_counted() {
    let text: String = (0..1000).map(|i| format!("key{i} = 1\n")).collect();
    let error = file(text).error();
    assert_eq!(error.lines().count(), limits::PROBLEMS_SHOWN_MAX + 1);
    assert!(error.ends_with("and 960 more"));
}

#[test]
fn a_syntax_error_is_refused_with_its_place() {
    for (text, place) in [
        ("api = true\ndb = \"x\nshards = 2", "config.toml:2:8: "),
        ("api = true\napi = false", "config.toml:2:1: "),
        ("api", "config.toml:1:4: "),
        ("= 1", "config.toml:1:1: "),
    ] {
        let error = file(text).error();
        assert!(error.starts_with(place), "{error}");
        assert!(error.contains("toml.io"), "{error}");
    }
    let error = file(b"api = true\ndb = '\xff'").error();
    assert_eq!(error, "config.toml:2:7: the text is not UTF-8");
}

#[test]
fn a_switch_that_is_neither_on_nor_off_names_its_variable() {
    for setting in SETTINGS.iter().filter(|s| s.kind == Kind::Switch) {
        for variable in setting.environment {
            let expected = format!(
                "{variable}: \"maybe\" is neither on nor off; write true, yes, on or 1, or else \
                 false, no, off or 0"
            );
            assert_eq!(env(variable, "maybe").error(), expected);
        }
    }
}

#[test]
fn numbers_have_their_range() {
    for text in ["0", "257", "-1", "99999999999999999999999"] {
        assert_eq!(
            env("SENTRYPEER_SHARDS", text).error(),
            format!("SENTRYPEER_SHARDS: \"{text}\" is not between 1 and 256")
        );
        assert!(file(format!("shards = {text}")).error().contains("config.toml:1:10: "));
    }
    for text in ["x", "1.5", "2 3", "-"] {
        assert_eq!(
            env("SENTRYPEER_SHARDS", text).error(),
            format!(
                "SENTRYPEER_SHARDS: \"{text}\" is not a number; write a whole number, such as 2"
            )
        );
    }
    assert_eq!(file("shards = 0x10").config().shards.get(), 16);
    assert_eq!(file("shards = 1_6").config().shards.get(), 16);
    assert_eq!(flags(&["--shards", "256"]).config().shards.get(), 256);
}

#[test]
fn rates_and_front_ends_have_their_remedy() {
    assert_eq!(
        env("SENTRYPEER_ANSWER_RATE_SOURCE", "1000001").error(),
        "SENTRYPEER_ANSWER_RATE_SOURCE: \"1000001\" is not between 0 and 1000000"
    );
    assert_eq!(
        file("proxy_protocol_from = ['10.0.0.0/8',\n  'balancer']").error(),
        "config.toml:2:3: proxy_protocol_from: \"balancer\" is neither an address nor a prefix; \
         write one like \"10.0.0.0/8\""
    );
    let many: Vec<String> = (1..=33).map(|host| format!("10.0.0.{host}")).collect();
    let error = env("SENTRYPEER_PROXY_PROTOCOL_FROM", &many.join(",")).error();
    assert!(error.contains("33 addresses are named, and 32 is the most"), "{error}");
}

#[test]
fn what_is_kept_for_too_long_or_not_at_all_is_refused_with_the_bounds() {
    for (text, said) in [
        ("events_keep_days = 0", "\"0\" is not between 1 and 30"),
        ("events_keep_days = 31", "\"31\" is not between 1 and 30"),
        ("messages_keep_days = 0", "\"0\" is not between 1 and 30"),
        ("hours_keep_days = 401", "\"401\" is not between 1 and 400"),
        ("log_size_max_mb = 15", "\"15\" is not between 16 and 1000000000"),
    ] {
        let (key, _) = text.split_once(" = ").unwrap();
        let place = key.len() + 4;
        assert_eq!(file(text).error(), format!("config.toml:1:{place}: {key}: {said}"));
    }
}

#[test]
fn the_allow_list_is_read_from_its_file_and_what_is_wrong_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("allow.txt");
    let name = path.display().to_string();
    let start = flags(&["--allow-file", &name, "--allow", "192.0.2.7"]);
    fs::write(&path, "# the exchange\n2001:db8::/32\n").unwrap();
    let allowed = start.config().allowed;
    assert_eq!(allowed.from_file[0].prefix, "2001:db8::/32".parse().unwrap());
    assert_eq!(allowed.from_file.len(), 1);
    assert_eq!(allowed.addresses, ["192.0.2.7".parse().unwrap()]);
    fs::write(&path, "10.0.0.0/8\n 10.0.0.0/33\n").unwrap();
    assert_eq!(
        start.error(),
        format!(
            "{name}:2:2: allow_file: \"10.0.0.0/33\" is neither an address nor a prefix; write one \
             like \"10.0.0.0/8\""
        )
    );
    fs::write(&path, [0xff]).unwrap();
    assert_eq!(start.error(), "--allow-file: the text is not UTF-8");
    fs::remove_file(&path).unwrap();
    let error = start.error();
    assert!(error.starts_with("--allow-file: cannot read ") && error.contains(&name), "{error}");
}

#[test]
fn an_allowed_number_has_its_remedy_and_a_long_list_its_bound() {
    assert_eq!(
        file("allow_numbers = ['+44800*', 'alice']").error(),
        "config.toml:1:29: allow_numbers: \"alice\" is no number; write one like \
         \"+442071234567\", or \"+44800*\" for all that begin so"
    );
    let many: Vec<String> = (0..1025).map(|n| format!("70{n}")).collect();
    let error = env("SENTRYPEER_ALLOW_NUMBERS", &many.join(",")).error();
    assert!(error.contains("1025 numbers are named, and 1024 is the most"), "{error}");
    assert_eq!(
        env("SENTRYPEER_ALLOW_NUMBERS", &many[1..].join(",")).config().allowed.numbers.len(),
        1024
    );
}

#[test]
fn the_api_is_not_opened_to_other_machines_by_accident() {
    for addr in ["0.0.0.0:8082", "[::]:8082", "192.0.2.1:8082"] {
        assert_eq!(
            flags(&["--api-listen", addr]).error(),
            format!(
                "--api-listen: \"{addr}\" lets other machines use the API, and without TLS anybody \
                 on the way could read and change what is said; set api_cert and api_key \
                 (--api-cert, --api-key), or write \"127.0.0.1:8082\", or add --insecure-api \
                 (insecure_api = true)"
            )
        );
        let start = flags(&["--api-listen", addr, "--insecure-api"]);
        assert_eq!(addresses(&start.config().api.listen), [addr]);
        assert_eq!(start.warnings().len(), 1);
        // Whether there is somebody to tell people by is known when tokens are read.
        let start = flags(&["--api-listen", addr, "--api-cert=x", "--api-key=y"]);
        assert!(start.warnings().is_empty());
    }
    for addr in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(flags(&["--api-listen", addr]).warnings().is_empty());
    }
}

#[test]
fn the_dip_lane_is_never_opened_to_other_machines() {
    for addr in ["0.0.0.0:83", "[::]:83", "192.0.2.1:83"] {
        let error = flags(&["--insecure-api", "--dip-listen", addr]).error();
        assert!(error.starts_with(&format!("--dip-listen: \"{addr}\" is not a loopback address")));
        assert!(error.ends_with("write \"127.0.0.1:83\" or \"none\""), "{error}");
    }
}

#[test]
fn the_same_address_twice_is_refused() {
    for (args, message) in [
        (
            ["--sip-listen", "127.0.0.1:1", "--sip-listen", "127.0.0.1:1"].as_slice(),
            "--sip-listen: \"127.0.0.1:1\" is named by sip_listen (--sip-listen) too",
        ),
        (
            &["--sip-listen", "0.0.0.0:5061"],
            "--sip-listen: \"0.0.0.0:5061\" is named by tls_listen_address (default) too",
        ),
        (
            &["--api-listen", "127.0.0.1:8083"],
            "--api-listen: \"127.0.0.1:8083\" is named by dip_listen (default) too",
        ),
        (
            &["-a", "-z", "[::ffff:127.0.0.1]:8082"],
            "--tls-listen: \"127.0.0.1:8082\" is named by api_listen (default) too",
        ),
    ] {
        let error = flags(args).error();
        assert_eq!(error, format!("{message}; give each a port of its own, or leave one out"));
    }
    flags(&["-N", "--sip-listen", "0.0.0.0:5061"]).config();
    // A default that stands in for what is wrong does not clash.
    let error = file("sip_listen = 5070").args(&["-z", "0.0.0.0:5060"]).error();
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn too_many_addresses_are_refused() {
    let many: Vec<String> = (1..=33).map(|port| format!("127.0.0.1:{port}")).collect();
    let message = "33 addresses are named, and 32 is the most";
    assert!(env("SENTRYPEER_SIP_LISTEN", &many.join(",")).error().contains(message));
    assert!(file(format!("sip_listen = {many:?}")).error().contains(message));
    assert_eq!(env("SENTRYPEER_SIP_LISTEN", &many[1..].join(",")).config().sip_listen.len(), 32);
}

#[test]
fn a_certificate_needs_its_key_and_the_reverse() {
    let error = file("cert = 'x'").error();
    assert_eq!(
        error,
        "config.toml:1:8: cert: has no effect alone; set key (--key) too, or neither"
    );
    let error = env("SENTRYPEER_KEY", "x").error();
    assert_eq!(error, "SENTRYPEER_KEY: has no effect alone; set cert (--cert) too, or neither");
    file("cert = 'x'").env("SENTRYPEER_KEY", "y").config();
}

#[test]
fn what_the_api_is_given_is_checked() {
    for (args, message) in [
        (
            ["--api-cert=x", "-a"],
            "--api-cert: has no effect alone; set api_key (--api-key) too, or neither",
        ),
        (
            ["--api-client-ca=x", "-a"],
            "--api-client-ca: has no effect alone; set api_cert and api_key too, or neither",
        ),
        (
            ["--api-client-scopes=read,root", "-a"],
            "--api-client-scopes: \"root\" is not a scope; write read, feed, write or metrics",
        ),
        (
            ["--api-hosts=a.example:8082", "-a"],
            "--api-hosts: \"a.example:8082\" is not the name of a host; write one like \
             \"sentrypeer.example.org\", without a port",
        ),
        (["--api-rate=0", "-a"], "--api-rate: \"0\" is not between 1 and 1000000"),
    ] {
        assert_eq!(flags(&args).error(), message);
    }
}

#[test]
fn a_folder_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert_eq!(
        flags(&["-f", path]).error(),
        format!(
            "--db: \"{path}\" is a folder; name a file in it, such as \"{path}/sentrypeer.redb\""
        )
    );
}

#[test]
fn words_and_hosts_and_urls_have_their_remedy() {
    for (args, message) in [
        (["--driver", "epoll"], "--driver: \"epoll\" is not a driver; write auto, uring or poll"),
        (
            ["--bootstrap", "a:b:c"],
            "--bootstrap: \"a:b:c\" is not a host with an optional port; write one like \
             \"bootstrap.sentrypeer.org:4222\"",
        ),
        (
            ["--webhook", "example.org"],
            "--webhook: this is not an http or https URL; write one like \
             \"https://example.org/hook\"",
        ),
    ] {
        assert_eq!(flags(&args).error(), message);
    }
}

#[test]
fn a_named_file_that_cannot_be_read_is_an_error() {
    let error = flags(&["-g", "/nonexistent/x.toml"]).error();
    assert!(error.starts_with("--config: cannot read \"/nonexistent/x.toml\": "), "{error}");
    let error = env("SENTRYPEER_CONFIG_FILE", "/nonexistent/x.toml").error();
    assert!(error.starts_with("SENTRYPEER_CONFIG_FILE: cannot read "), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let error = flags(&["-g", folder.path().to_str().unwrap()]).error();
    assert!(error.starts_with("--config: cannot read "), "{error}");
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let most = usize::try_from(limits::FILE_BYTES_MAX).unwrap();
    file(" ".repeat(most)).config();
    let error = file(" ".repeat(most + 1)).error();
    let expected = "config: \"config.toml\" has more than 1048576 bytes; is it the right file?";
    assert_eq!(error, expected);
}

#[test]
fn an_unknown_variable_is_a_warning_without_its_value() {
    let start = env("SENTRYPEER_APY", "hunter2").env("SENTRYPEER_", "").env("SENTRY_API", "1");
    assert_eq!(
        start.env("PATH", "/bin").warnings(),
        [
            "SENTRYPEER_: unknown variable, ignored",
            "SENTRYPEER_APY: unknown variable, ignored; did you mean SENTRYPEER_API?"
        ]
    );
}

#[test]
fn what_has_no_effect_is_a_warning() {
    for (start, message) in [
        (
            flags(&["-l", "x"]),
            "--json-log-file: has no effect without json_log.enabled (--json-log)",
        ),
        (
            flags(&["--messages-keep-days=8"]),
            "--messages-keep-days: has no effect without events that are kept longer \
             (--events-keep-days)",
        ),
        (flags(&["-b", "x"]), "--bootstrap: has no effect without peer_to_peer (--peer-to-peer)"),
        (
            env("SENTRYPEER_INSECURE_API", "1"),
            "SENTRYPEER_INSECURE_API: has no effect without api (--api)",
        ),
        (
            flags(&["-N", "-z", "127.0.0.1:1"]),
            "--tls-listen: has no effect without TLS, which is switched off",
        ),
    ] {
        assert_eq!(start.warnings(), [message]);
    }
    let warnings = file("json_log.file = 'x'").warnings();
    assert!(warnings[0].contains(":1:17: json_log.file: has no effect without "), "{warnings:?}");
    assert!(flags(&["-R"]).warnings().is_empty());
    assert!(env("SENTRYPEER_INSECURE_API", "0").warnings().is_empty());
}
