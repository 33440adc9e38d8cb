//! `import` and `export events`, with a node that runs and without one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

use sentrypeer_storage::event::Time;
use sentrypeer_storage::utc::Utc;
use serde_json::Value;
use uuid::Uuid;

use crate::database::{call_from, json, node_with_calls, printed, refused, row, run, stopped};
use crate::harness::{plan, plan_in, program};

const HOUR_NS: u64 = 3_600_000_000_000;

/// Whether the program is built with SQLite.
const SQLITE: bool = cfg!(feature = "sqlite");

/// A line of the JSON log of SentryPeer 4.x.
fn line(id: u128, time: Time, source: &str) -> String {
    format!(
        "{{\"app_name\":\"sentrypeer\",\"app_version\":\"v4.0.4\",\"event_timestamp\":\"{}\",\
         \"event_uuid\":\"{}\",\"created_by_node_id\":\"{}\",\"collected_method\":\"responsive\",\
         \"transport_type\":\"UDP\",\"source_ip\":\"{source}\",\"destination_ip\":\"192.0.2.200\",\
         \"called_number\":\"900{id}\",\"sip_method\":\"OPTIONS\",\"sip_user_agent\":\"old\",\
         \"sip_message\":\"OPTIONS sip:900{id}@192.0.2.200 SIP/2.0\"}}\n",
        Utc(time),
        Uuid::from_u128(id),
        Uuid::from_u128(99),
    )
}

fn ago(hours: u64) -> Time {
    Time::now().minus_ns(hours * HOUR_NS)
}

/// A file in a folder, with this content.
fn file(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

fn import(database: &Path, path: &Path, more: &[&str]) -> String {
    printed(database, &[&["import", path.to_str().unwrap()], more].concat())
}

fn exported(database: &Path, more: &[&str]) -> Vec<Value> {
    let text = printed(database, &[&["export", "events", "--format", "json"], more].concat());
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The numbers that were called, in the order of the log.
fn numbers(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["called_number"].as_str().unwrap()).collect()
}

#[test]
fn what_one_node_exports_another_imports_once() {
    let node = node_with_calls(&[1, 2]);
    let events = exported(&node.database(), &[]);
    assert_eq!(events.len(), 4);
    let elsewhere = tempfile::tempdir().unwrap();
    let formats: &[&str] = if SQLITE { &["json", "sqlite"] } else { &["json"] };
    for format in formats {
        let path = elsewhere.path().join(format);
        let words = ["export", "events", "--format", format, "--output", path.to_str().unwrap()];
        printed(&node.database(), &words);
        let database = elsewhere.path().join(format!("{format}.redb"));
        let table = import(&database, &path, &[]);
        assert_eq!((row(&table, "read"), row(&table, "taken")), ("4 events", "4"), "{table}");
        assert_eq!(row(&table, "skipped"), "nothing");
        let there = exported(&database, &[]);
        for key in ["event_timestamp", "source_ip", "called_number", "sip_message"] {
            // The shards of a node may have handed theirs over in another order than they came.
            let of = |events: &[Value]| events.iter().map(|e| e[key].to_string()).collect();
            let (there, sent): (BTreeSet<_>, BTreeSet<_>) = (of(&there), of(&events));
            assert_eq!(there, sent, "{format}: {key}");
        }
        let again = import(&database, &path, &[]);
        assert_eq!((row(&again, "read"), row(&again, "taken")), ("0 events", "0"), "{again}");
        let again = import(&database, &path, &["--again"]);
        assert_eq!((row(&again, "read"), row(&again, "taken")), ("4 events", "0"), "{again}");
        assert!(row(&again, "known").starts_with("4 "), "{again}");
        assert_eq!(json(&database, &["db", "check", "--json"])["events"], 4);
    }
}

#[test]
fn a_node_that_runs_takes_a_log_in_and_goes_on_where_it_was() {
    let node = plan(&[]).start();
    let database = node.database();
    // More than go through the control socket at once.
    let lines: String = (1..=5_000).map(|id| line(id, ago(1), "198.51.100.7")).collect();
    let path = file(node.folder.path(), "old.json", &lines);
    let table = import(&database, &path, &[]);
    assert_eq!(row(&table, "taken"), "5000", "{table}");
    assert_eq!(row(&table, "format"), "JSON lines");
    node.await_events(5_000);

    let mut log = File::options().append(true).open(&path).unwrap();
    log.write_all(line(5_001, ago(1), "198.51.100.8").as_bytes()).unwrap();
    log.write_all(b"{\"torn\": ").unwrap();
    let table = import(&database, &path, &[]);
    assert_eq!((row(&table, "read"), row(&table, "taken")), ("1 events", "1"), "{table}");
    assert_eq!(row(&table, "skipped"), "1 (1 torn at the end)");
    let metrics = node.get("/metrics").1;
    assert!(metrics.contains("sentrypeer_orders_total{order=\"import-place\"} 2\n"), "{metrics}");
}

#[test]
fn a_node_does_not_take_its_own_events_twice() {
    let node = node_with_calls(&[1, 2]);
    let database = node.database();
    let path = node.folder.path().join("own.json");
    let target = path.to_str().unwrap();
    printed(&database, &["export", "events", "--format", "json", "--output", target]);
    let foreign = line(7, ago(1), "198.51.100.7");
    File::options().append(true).open(&path).unwrap().write_all(foreign.as_bytes()).unwrap();
    let table = import(&database, &path, &[]);
    assert_eq!((row(&table, "read"), row(&table, "taken")), ("5 events", "1"), "{table}");
    assert!(row(&table, "known").starts_with("4 "), "{table}");
    node.await_events(5);
    assert_eq!(exported(&database, &[]).len(), 5);
}

#[test]
fn what_is_too_old_in_the_future_or_no_event_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("s.redb");
    let future = Time(Time::now().0 + 48 * HOUR_NS);
    let lines = [
        line(1, ago(24 * 9), "198.51.100.7"),
        line(2, ago(24 * 2), "198.51.100.7"),
        line(3, future, "198.51.100.7"),
        "no json\n".to_owned(),
        line(4, ago(1), "nowhere"),
    ];
    let path = file(folder.path(), "old.json", &lines.concat());
    let table = import(&database, &path, &[]);
    assert_eq!((row(&table, "read"), row(&table, "taken")), ("3 events", "1"), "{table}");
    assert!(table.contains("too old      1 ") && table.contains("in future    1 "), "{table}");
    assert_eq!(row(&table, "skipped"), "2 (1 that are no JSON, 1 without an address)");
    let kept_longer = folder.path().join("longer.redb");
    let table = import(&kept_longer, &path, &["--events-keep-days=10"]);
    assert_eq!(row(&table, "taken"), "2", "{table}");
}

#[test]
fn local_times_are_read_in_the_zone_that_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "old.json", &line(1, ago(2), "198.51.100.7"));
    let times = ["UTC", "+01:00"].map(|zone| {
        let database = folder.path().join(format!("{zone}.redb"));
        import(&database, &path, &["--zone", zone]);
        exported(&database, &[])[0]["event_timestamp"].as_str().unwrap().to_owned()
    });
    let hour = |text: &str| text[11..13].parse::<u32>().unwrap();
    assert_eq!((hour(&times[1]) + 1) % 24, hour(&times[0]), "{times:?}");
}

#[test]
fn a_file_that_is_no_log_is_refused_with_the_way_out() {
    let (_folder, database) = stopped(node_with_calls(&[1]));
    let folder = tempfile::tempdir().unwrap();
    let noise = file(folder.path(), "noise", "\u{1}\u{2}\u{3}");
    assert!(refused(&database, &["import", noise.to_str().unwrap()]).contains("noise"));
    let copy = folder.path().join("copy.redb");
    printed(&database, &["db", "backup", copy.to_str().unwrap()]);
    let said = refused(&database, &["import", copy.to_str().unwrap()]);
    assert!(said.contains("copy.redb") && said.contains("put it in place of"), "{said}");
    let absent = folder.path().join("absent");
    assert!(refused(&database, &["import", absent.to_str().unwrap()]).contains("absent"));
    assert_eq!(json(&database, &["db", "check", "--json"])["events"], 2);
}

#[test]
fn events_leave_in_every_format_and_only_those_that_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [30, 20, 2].map(|hours| line(hours.into(), ago(hours), "198.51.100.7")).concat();
    let path = file(folder.path(), "old.json", &lines);
    let database = folder.path().join("s.redb");
    import(&database, &path, &[]);
    assert_eq!(numbers(&exported(&database, &[])), ["90030", "90020", "9002"]);
    assert_eq!(numbers(&exported(&database, &["--since", "1d"])), ["90020", "9002"]);
    assert_eq!(numbers(&exported(&database, &["--until", "3h"])), ["90030", "90020"]);
    let between = ["--since=24h", "--until=3h"];
    assert_eq!(numbers(&exported(&database, &between)), ["90020"]);

    let output = |format: &str| run(&database, &["export", "events", "--format", format]);
    let csv = String::from_utf8(output("csv").stdout).unwrap();
    assert_eq!(csv.lines().count(), 4, "{csv}");
    let parquet = output("parquet").stdout;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    let Output { status, stderr, .. } = output("sqlite");
    let said = String::from_utf8(stderr).unwrap();
    let word = if SQLITE { "--output" } else { "without the feature \"sqlite\"" };
    assert!(!status.success() && said.contains(word), "{said}");
}

#[test]
fn an_export_overwrites_nothing_and_is_nobody_elses_business() {
    use std::os::unix::fs::PermissionsExt;
    let node = node_with_calls(&[1]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.csv");
    let words = ["export", "events", "--format", "csv", "--output", path.to_str().unwrap()];
    printed(&node.database(), &words);
    let written = fs::read(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    call_from(&node, &[2]);
    node.await_events(4);
    assert!(refused(&node.database(), &words).contains("events.csv"));
    assert_eq!(fs::read(&path).unwrap(), written);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left");
}

#[cfg(feature = "sqlite")]
#[test]
fn a_file_of_sqlite_gets_what_it_has_not_yet_and_is_nobody_elses_business() {
    use std::os::unix::fs::PermissionsExt;
    let node = node_with_calls(&[1, 2]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.sqlite");
    let words = ["export", "events", "--format", "sqlite", "--output", path.to_str().unwrap()];
    for hosts in [2, 3] {
        printed(&node.database(), &words);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let database = folder.path().join(format!("{hosts}.redb"));
        assert_eq!(row(&import(&database, &path, &[]), "taken"), (2 * hosts).to_string());
        call_from(&node, &[3]);
        node.await_events(6);
    }
}

#[test]
fn a_backup_of_another_database_is_taken_in_and_not_changed() {
    let (_folder, theirs) = stopped(node_with_calls(&[1, 2]));
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.redb");
    printed(&theirs, &["db", "backup", backup.to_str().unwrap()]);
    let before = fs::read(&backup).unwrap();
    let node = node_with_calls(&[3]);
    let table = import(&node.database(), &backup, &[]);
    assert_eq!(row(&table, "format"), "database of this program");
    assert_eq!((row(&table, "read"), row(&table, "taken")), ("4 events", "4"), "{table}");
    assert_eq!(fs::read(&backup).unwrap(), before);
    node.await_events(6);
    let again = import(&node.database(), &backup, &["--again"]);
    assert!(row(&again, "known").starts_with("4 "), "{again}");
    let left = fs::read_dir(node.folder.path()).unwrap();
    let left = left
        .filter(|entry| entry.as_ref().unwrap().path().display().to_string().contains("import"));
    assert_eq!(left.count(), 0, "a copy was left");
}

#[test]
fn an_import_that_was_killed_loses_and_doubles_nothing() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let database = plan_in(&folder, &[]).database();
    let lines: String = (1..=12_000).map(|id| line(id, ago(1), "198.51.100.7")).collect();
    let path = file(folder.path(), "old.json", &lines);
    let words = ["import", path.to_str().unwrap()];
    let mut child = program(&database).args(words).spawn().unwrap();
    crate::harness::await_that(|| database.exists(), "the import to begin");
    child.kill().unwrap();
    child.wait().unwrap();
    import(&database, &path, &[]);
    assert_eq!(json(&database, &["db", "check", "--json"])["events"], 12_000);
    let node = plan_in(&folder, &[]).start();
    assert_eq!(node.events(), 12_000);
}
