//! Help, version and wrong usage.

use clap::error::ErrorKind;
use sentrypeer_archive::export::Format;
use sentrypeer_storage::event::{SourceKey, Time};
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::query::Subject;

use super::*;

fn usage(args: &[&str]) -> (u8, ErrorKind, String) {
    match flags(args).load() {
        Err(ConfigError::Usage(error)) => {
            let (kind, text) = (error.kind(), error.to_string());
            (ConfigError::Usage(error).exit_status(), kind, text)
        }
        other => panic!("{args:?}: {other:?}"),
    }
}

#[test]
fn the_description_for_clap_is_sound() {
    command_line().debug_assert();
}

#[test]
fn help_and_version_exit_with_status_0() {
    for args in [["-h"].as_slice(), &["--help"], &["status", "-h"], &["export", "ipset", "--help"]]
    {
        let (status, kind, text) = usage(args);
        assert_eq!((status, kind), (0, ErrorKind::DisplayHelp));
        assert!(text.contains("Usage: sentrypeer"), "{text}");
    }
    for args in [["-V"], ["--version"]] {
        let (status, kind, text) = usage(&args);
        assert_eq!((status, kind), (0, ErrorKind::DisplayVersion));
        assert_eq!(text, concat!("sentrypeer ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[test]
fn help_is_given_although_the_configuration_is_wrong() {
    let start = file("nonsense").env("SENTRYPEER_API", "perhaps").args(&["-h"]);
    assert_eq!(start.load().expect_err("help").exit_status(), 0);
}

#[test]
fn wrong_usage_exits_with_status_2() {
    for args in [
        ["-x"].as_slice(),
        &["--no-such-flag"],
        &["frobnicate"],
        &["export"],
        &["export", "xml"],
        &["export", "csv", "--family", "5"],
        &["firewall"],
        &["firewall", "pf"],
        &["firewall", "nft", "--name", "a;b"],
        &["firewall", "ipset", "--shrink-max", "101"],
        &["firewall", "ipset", "--interval", "0"],
        &["--db"],
        &["-jx"],
        &["--set", "x"],
        &["export", "ipset", "--family", "5"],
        &["export", "ipset", "--timeout", "2147484"],
        &["export", "ipset", "--min-verification", "some"],
        &["export", "events"],
        &["export", "events", "--format", "xml"],
        &["export", "events", "--format", "csv", "--since", "yesterday"],
        &["import"],
        &["import", "x", "--zone", "Mars/Olympus"],
        &["db"],
        &["db", "vacuum"],
        &["db", "backup"],
        &["db", "stats", "file"],
        &["outputs", "reset"],
        &["outputs", "reset", "x", "--to=middle"],
        &["outputs", "stop", "x"],
        &["tail", "x"],
        &["token"],
        &["token", "make"],
        &["token", "make", "x", "--scopes", "root"],
        &["token", "make", "x", "--scopes", ","],
        &["token", "make", "x", "--rate", "0"],
        &["token", "revoke"],
        &["allow"],
        &["allow", "add", "192.0.2.1"],
        &["allow", "add", "alice", "--reason=x"],
        &["allow", "add", "192.0.2.1:5060", "--reason=x"],
        &["allow", "add", "300.0.0.1", "--reason=x"],
        &["allow", "add", "192.0.2.1", "--reason=x", "--expires=soon"],
        &["allow", "remove"],
        &["forget"],
        &["forget", ""],
        &["forget", "192.0.2.1:5060"],
        &["forget", "300.0.0.1"],
        &["forget", "2001:db8::/64"],
    ] {
        assert_eq!(usage(args).0, 2, "{args:?}");
    }
}

#[test]
fn db_and_forget_say_what_they_are_asked_for() {
    let command = |args: &[&str]| flags(args).load().unwrap().command;
    assert_eq!(command(&["db", "stats"]), Command::Db(Db::Stats { json: false }));
    assert_eq!(
        command(&["db", "check", "x.redb", "--json"]),
        Command::Db(Db::Check { file: Some("x.redb".into()), json: true })
    );
    assert_eq!(command(&["db", "compact"]), Command::Db(Db::Compact));
    assert_eq!(command(&["db", "backup", "x"]), Command::Db(Db::Backup { file: "x".into() }));
    let source = Subject::Source(SourceKey::of("2001:db8::".parse().unwrap()));
    assert_eq!(command(&["forget", "2001:db8::7"]), Command::Forget(source));
    let number = Subject::Number(NumberKey::of(b"+442071234567"));
    assert_eq!(command(&["forget", "+44 20 7123-4567"]), Command::Forget(number));
}

#[test]
fn token_says_what_it_is_asked_for() {
    use sentrypeer_http::access::{Scope, Scopes};
    let command = |args: &[&str]| flags(args).load().unwrap().command;
    let plain = Token::Make {
        name: "pbx".to_owned(),
        scopes: Scopes::of([Scope::Read]),
        expires: None,
        requests_per_s: None,
        json: false,
    };
    assert_eq!(command(&["token", "make", "pbx"]), Command::Token(plain));
    let words =
        ["token", "make", "x", "--scopes=feed,write", "--expires=90d", "--rate=5", "--json"];
    let full = Token::Make {
        name: "x".to_owned(),
        scopes: Scopes::of([Scope::Feed, Scope::Write]),
        expires: Some(When::Ago { seconds: 7_776_000 }),
        requests_per_s: Some(5),
        json: true,
    };
    assert_eq!(command(&words), Command::Token(full));
    assert_eq!(command(&["token", "list"]), Command::Token(Token::List { json: false }));
    let revoke = Token::Revoke { name: "x".to_owned() };
    assert_eq!(command(&["token", "revoke", "x"]), Command::Token(revoke));
}

#[test]
fn allow_says_what_it_is_asked_for() {
    let command = |args: &[&str]| flags(args).load().unwrap().command;
    let network = || "198.18.0.0/24".parse().unwrap();
    let plain = Allow::Add { subject: network(), reason: "a b".to_owned(), expires: None };
    assert_eq!(command(&["allow", "add", "198.18.0.0/24", "--reason=a b"]), Command::Allow(plain));
    let full = Allow::Add {
        subject: "+44800*".parse().unwrap(),
        reason: "x".to_owned(),
        expires: Some(When::Ago { seconds: 43_200 }),
    };
    let words = ["allow", "add", "+44 800*", "--reason", "x", "--expires=12h"];
    assert_eq!(command(&words), Command::Allow(full));
    let remove = Allow::Remove { subject: network() };
    assert_eq!(command(&["allow", "remove", "198.18.0.0/24"]), Command::Allow(remove));
    for (args, json) in
        [(["allow", "list"].as_slice(), false), (&["allow", "list", "--json"], true)]
    {
        assert_eq!(command(args), Command::Allow(Allow::List { json }));
    }
}

#[test]
fn outputs_and_tail_say_what_they_are_asked_for() {
    use sentrypeer_storage::cursor::Begin;

    use crate::control::outputs::OutputOrder;
    let wanted = |order, json| Command::Outputs(OutputsWanted { order, json });
    let name = || "x".to_owned();
    for (args, expected) in [
        (["outputs"].as_slice(), wanted(OutputOrder::List, false)),
        (&["outputs", "--json"], wanted(OutputOrder::List, true)),
        (&["outputs", "list", "--json"], wanted(OutputOrder::List, true)),
        (&["outputs", "--json", "-f", "x", "list"], wanted(OutputOrder::List, true)),
        (&["outputs", "pause", "x"], wanted(OutputOrder::Pause(name()), false)),
        (&["outputs", "resume", "x"], wanted(OutputOrder::Resume(name()), false)),
        (&["outputs", "reset", "x"], wanted(OutputOrder::Reset(name(), Begin::Oldest), false)),
        (
            &["outputs", "reset", "x", "--to=newest"],
            wanted(OutputOrder::Reset(name(), Begin::Newest), false),
        ),
        (&["-f", "y", "outputs", "-j"], wanted(OutputOrder::List, false)),
        (&["tail"], Command::Tail { json: false }),
        (&["tail", "--json"], Command::Tail { json: true }),
    ] {
        assert_eq!(flags(args).load().unwrap().command, expected, "{args:?}");
    }
}

#[test]
fn feeds_and_firewall_say_what_they_are_asked_for() {
    use crate::firewall::{Family, Tool, Wanted};
    let command = |args: &[&str]| flags(args).load().unwrap().command;
    for (name, _) in FEEDS {
        assert_eq!(command(&["export", name]), Command::ExportFeed(ExportFeed::of(name)));
    }
    let some = ExportFeed {
        family: Some(IpsetFamily::V6),
        min_count: Some(3),
        limit: Some(9),
        ..ExportFeed::of("csv")
    };
    let words = ["export", "csv", "--family=6", "--min-count=3", "--limit=9"];
    assert_eq!(command(&words), Command::ExportFeed(some));
    assert_eq!(command(&["firewall", "nft"]), Command::Firewall(Wanted::new(Tool::Nft)));
    let wanted = Wanted {
        family: Some(Family::V6),
        name: "bad".to_owned(),
        interval_s: 60,
        whole_s: 7,
        shrink_percent_max: 10,
        once: true,
        ..Wanted::new(Tool::Ipset)
    };
    let words =
        "firewall ipset --family 6 --name bad --interval 60 --whole-every 7 --shrink-max 10 --once";
    let words: Vec<&str> = words.split(' ').collect();
    assert_eq!(command(&words), Command::Firewall(wanted));
}

#[test]
fn import_and_export_say_what_they_are_asked_for() {
    let command = |args: &[&str]| flags(args).load().unwrap().command;
    let import = |zone: &str, own, again| {
        let (file, zone) = ("x.db".into(), zone.parse().unwrap());
        Command::Import(Import { file, zone, own, again })
    };
    assert_eq!(command(&["import", "x.db"]), import("UTC", false, false));
    let words = ["import", "x.db", "--zone", "+01:00", "--own", "--again"];
    assert_eq!(command(&words), import("+01:00", true, true));
    let plain = ExportEvents { format: Format::Json, since: None, until: None, output: None };
    assert_eq!(command(&["export", "events", "--format=json"]), Command::ExportEvents(plain));
    let words = ["--format=csv", "--since=7d", "--until=1970-01-02", "--output=x"];
    let some = ExportEvents {
        format: Format::Csv,
        since: Some(When::Ago { seconds: 604_800 }),
        until: Some(When::At(Time(86_400_000_000_000))),
        output: Some("x".into()),
    };
    let words = [&["export", "events"], &words[..]].concat();
    assert_eq!(command(&words), Command::ExportEvents(some));
}

#[test]
fn help_names_every_flag_under_its_heading() {
    let long = command_line().render_long_help().to_string();
    for setting in SETTINGS {
        assert!(long.contains(&format!("--{}", setting.long)), "{}", setting.long);
        for name in setting.environment.iter().chain(&setting.key) {
            assert!(long.contains(name), "{name}");
        }
    }
    let places: Vec<usize> = Group::ALL
        .iter()
        .map(|group| long.find(&format!("\n{}:\n", group.heading())).unwrap())
        .collect();
    assert!(places.is_sorted());
}

#[test]
fn help_keeps_to_80_columns() {
    let mut command = command_line().term_width(80);
    for help in [command.render_help(), command.render_long_help()] {
        for line in help.to_string().lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn a_subcommand_shows_only_the_flags_that_find_the_node() {
    let (_, _, text) = usage(&["status", "--help"]);
    assert!(text.contains("--db") && text.contains("--config"), "{text}");
    assert!(!text.contains("--shards"), "{text}");
}
