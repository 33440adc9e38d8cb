//! SQLite files of SentryPeer 4.x, made here in its schema and with its oddities.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::{Connection, params};
use sentrypeer_archive::import::{self, Format, ImportError, Options, Origin};
use sentrypeer_archive::imported::Reason;
use sentrypeer_archive::limits::{READ_ROWS, TEXT_BYTES_MAX};
use sentrypeer_archive::zone::Zone;
use sentrypeer_storage::event::{Collected, NumberKind, Transport, Verification};
use sentrypeer_storage::utc::Utc;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{NODE, events, read, resumes_everywhere};

/// The table as 4.x makes it.
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS honey (
       honey_id INTEGER PRIMARY KEY, event_timestamp TEXT, event_uuid TEXT, collected_method TEXT,
       source_ip TEXT, called_number TEXT, transport_type TEXT, method TEXT, user_agent TEXT,
       sip_message TEXT, created_by_node_id TEXT,
       created_at DATETIME DEFAULT(STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')));
    CREATE INDEX IF NOT EXISTS source_ip_index ON honey (source_ip);
    CREATE INDEX IF NOT EXISTS called_number_index ON honey (called_number);
    CREATE INDEX IF NOT EXISTS event_uuid_index ON honey (event_uuid);";

/// A file of 4.x.
struct Old {
    folder: TempDir,
    connection: Connection,
}

impl Old {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("sentrypeer.db")).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        Self { folder, connection }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sentrypeer.db")
    }

    /// The row with this number as 4.x writes it, then `change`d by an SQL expression list.
    fn row(&self, number: u32, change: &str) {
        let sql = "INSERT INTO honey (event_timestamp, event_uuid, collected_method, source_ip,
               called_number, transport_type, method, user_agent, sip_message, created_by_node_id,
               created_at)
            VALUES ('2026-11-23 23:52:36.740127093', ?1, 'responsive', '203.0.113.7:5066', '100', 'UDP',
               'OPTIONS', 'friendly-scanner', 'OPTIONS sip:100@h SIP/2.0' || char(13, 10, 13, 10), ?2,
               '2026-11-23 23:52:36.742')";
        self.connection.execute(sql, params![id(number).to_string(), NODE.to_string()]).unwrap();
        if !change.is_empty() {
            let sql = format!("UPDATE honey SET {change} WHERE honey_id = last_insert_rowid()");
            self.connection.execute_batch(&sql).unwrap();
        }
    }

    /// What is read of one row.
    fn only(change: &str) -> Result<sentrypeer_archive::imported::Imported, Reason> {
        let old = Self::new();
        old.row(1, change);
        let (mut items, _) = read(&old.path(), &Options::default());
        assert_eq!(items.len(), 1, "{change}");
        items.remove(0).map_err(|skipped| skipped.reason)
    }
}

fn id(number: u32) -> Uuid {
    Uuid::from_u128(0x2ceb_a0a8_3ac1_426f_9d45_8ecc_0000_0000 + u128::from(number))
}

fn refused(path: &Path) -> ImportError {
    import::open(path, &Options::default()).err().unwrap()
}

#[test]
fn a_row_of_4_x_is_an_event() {
    let old = Old::new();
    old.row(1, "");
    let event = &events(&old.path(), &Options::default())[0];
    assert_eq!(event.id, id(1));
    assert_eq!(event.created_by_node_id, Some(NODE));
    assert_eq!(Utc(event.time).to_string(), "2026-11-23 23:52:36.740127093");
    assert_eq!(event.source.to_string(), "203.0.113.7:5066");
    assert_eq!(event.destination.to_string(), "0.0.0.0:0");
    assert_eq!((event.transport, event.collected), (Transport::Udp, Collected::Responsive));
    assert_eq!(event.verification, Verification::Unverified);
    assert_eq!((&*event.number, event.number_kind), (b"100".as_slice(), NumberKind::Account));
    assert_eq!(&*event.method, b"OPTIONS");
    assert_eq!(&*event.user_agent, b"friendly-scanner");
    assert_eq!(&*event.message, b"OPTIONS sip:100@h SIP/2.0\r\n\r\n");
    assert_eq!(event.place, 1);
}

#[test]
fn the_oddities_of_4_x_are_read_as_what_they_mean() {
    let time = |change| Utc(Old::only(change).unwrap().time).to_string();
    let source = |change| Old::only(change).unwrap().source.to_string();
    assert_eq!(
        time("event_timestamp = '2026-11-23 23:52:36.740127'"),
        "2026-11-23 23:52:36.000740127"
    );
    assert_eq!(time("event_timestamp = NULL"), "2026-11-23 23:52:36.742000000");
    assert_eq!(source("source_ip = '203.0.113.7'"), "203.0.113.7:0");
    assert_eq!(source("source_ip = '[2001:db8::7]:5066'"), "[2001:db8::7]:5066");
    assert_eq!(source("source_ip = '[::ffff:203.0.113.7]:5066'"), "203.0.113.7:5066");
    let bare = Old::only(
        "called_number = 'NOT_FOUND', user_agent = NULL, transport_type = NULL, method = '',
         sip_message = 'NOT_FOUND', created_by_node_id = 'x', collected_method = NULL",
    );
    let bare = bare.unwrap();
    assert_eq!((bare.transport, bare.collected), (Transport::Udp, Collected::Passive));
    assert_eq!(bare.number_kind, NumberKind::None);
    assert_eq!(bare.created_by_node_id, None);
    assert!(bare.number.is_empty() && bare.user_agent.is_empty() && bare.message.is_empty());
}

#[test]
fn any_kind_of_value_may_stand_in_any_column() {
    let event =
        Old::only("sip_message = x'494e564954450aff00', called_number = 4420.5, method = 7");
    let event = event.unwrap();
    assert_eq!(&*event.message, b"INVITE\n\xff\0");
    assert_eq!(&*event.number, b"4420.5");
    assert_eq!(&*event.method, b"7");
    let text = Old::only("user_agent = cast(x'41ff42' AS TEXT)").unwrap();
    assert_eq!(&*text.user_agent, b"A\xffB");
}

#[test]
fn what_is_no_event_is_skipped_by_reason() {
    for (change, reason) in [
        ("event_uuid = NULL", Reason::Id),
        ("event_uuid = 'x'", Reason::Id),
        ("event_uuid = 5", Reason::Id),
        ("event_timestamp = 'x', created_at = NULL", Reason::Time),
        ("source_ip = 'NOT_FOUND'", Reason::Source),
        ("source_ip = NULL", Reason::Source),
        ("source_ip = x'ff'", Reason::Source),
        ("transport_type = 'SCTP'", Reason::Transport),
        ("sip_message = zeroblob(300000)", Reason::LongText),
        ("user_agent = zeroblob(300000)", Reason::LongText),
        ("source_ip = printf('%1000d', 1)", Reason::LongText),
    ] {
        assert_eq!(Old::only(change).unwrap_err(), reason, "{change}");
    }
}

#[test]
fn a_value_of_any_size_is_passed_over_without_being_read() {
    let old = Old::new();
    old.row(1, "sip_message = zeroblob(100000000)");
    old.row(2, "event_timestamp = zeroblob(20000000), created_at = NULL");
    old.row(3, "");
    let before = peak_kib();
    let (items, summary) = read(&old.path(), &Options::default());
    assert_eq!(summary.skipped.of(Reason::LongText), 2);
    assert_eq!(items[2].as_ref().unwrap().id, id(3));
    assert!(peak_kib() < before + 16_000, "{} KiB, then {}", before, peak_kib());
}

/// The most memory that this process has had, in KiB. Other tests only make the bound weaker.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_longest_texts_that_are_read_are_cut_to_what_an_event_keeps() {
    let change = format!("sip_message = printf('%{TEXT_BYTES_MAX}d', 1)");
    let event = Old::only(&change).unwrap();
    assert!(event.cut);
    assert_eq!(event.message.len(), 65_535);
}

#[test]
fn local_times_are_read_in_the_zone_that_is_given() {
    let old = Old::new();
    old.row(1, "event_timestamp = '2026-01-15 12:00:00.000000001'");
    old.row(2, "event_timestamp = '2026-07-15 12:00:00.000000001'");
    // Clocks went back from 02:00 to 01:00 that night, and forward from 01:00 to 02:00 that other.
    old.row(3, "event_timestamp = '2026-10-25 01:30:00.5'");
    old.row(4, "event_timestamp = '2026-03-29 01:30:00.5'");
    let times = |zone: &str| {
        let options = Options { zone: zone.parse().unwrap(), ..Options::default() };
        let events = events(&old.path(), &options);
        events.iter().map(|event| Utc(event.time).to_string()).collect::<Vec<_>>()
    };
    assert_eq!(times("-03:30")[0], "2026-01-15 15:30:00.000000001");
    if !Path::new("/usr/share/zoneinfo/Europe/London").exists() {
        eprintln!("skipped: no tzdata here");
        return;
    }
    assert_eq!(
        times("Europe/London"),
        [
            "2026-01-15 12:00:00.000000001",
            "2026-07-15 11:00:00.000000001",
            "2026-10-25 00:30:00.000000005",
            "2026-03-29 01:30:00.000000005"
        ]
    );
}

#[test]
fn a_zone_that_the_rows_contradict_is_noticed() {
    let old = Old::new();
    for number in 0..20 {
        let time = format!("event_timestamp = '2026-11-24 00:52:{:02}.5'", 36 - number % 3);
        old.row(number, &time);
    }
    // What peers told is of any time.
    old.row(99, "event_timestamp = '2026-11-20 07:52:36.5'");
    let instead = |zone: &str| {
        let options = Options { zone: zone.parse().unwrap(), ..Options::default() };
        import::open(&old.path(), &options).unwrap().zone_instead()
    };
    assert_eq!(instead("UTC"), Some("+01:00".parse::<Zone>().unwrap()));
    assert_eq!(instead("+01:00"), None);
    assert_eq!(instead("-05:00"), Some("+01:00".parse().unwrap()));
    old.connection.execute("UPDATE honey SET created_at = NULL", []).unwrap();
    assert_eq!(instead("UTC"), None);
}

#[test]
fn the_same_id_twice_is_two_events_of_one_id() {
    let old = Old::new();
    old.row(1, "");
    old.row(1, "source_ip = '203.0.113.8'");
    let events = events(&old.path(), &Options::default());
    assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), [id(1), id(1)]);
}

#[test]
fn connections_are_believed_of_a_node_that_heard_no_others() {
    let old = Old::new();
    old.row(1, "transport_type = 'TCP'");
    old.row(2, "transport_type = 'TLS'");
    old.row(3, "transport_type = 'UDP'");
    let of = |origin| {
        let events = events(&old.path(), &Options { origin, ..Options::default() });
        events.iter().map(|event| event.verification).collect::<Vec<_>>()
    };
    let unverified = Verification::Unverified;
    assert_eq!(of(Origin::Own), [Verification::Connected, Verification::Tls, unverified]);
    assert_eq!(of(Origin::Unknown), [unverified; 3]);
}

#[test]
fn a_table_is_read_on_from_every_place() {
    let old = Old::new();
    let rows = READ_ROWS + 20;
    for number in 0..rows {
        let change = if number % 7 == 0 { "source_ip = NULL" } else { "" };
        old.row(number, change);
    }
    old.connection.execute_batch("DELETE FROM honey WHERE honey_id % 5 = 0").unwrap();
    resumes_everywhere(&old.path(), &Options::default());
    let (_, summary) = read(&old.path(), &Options::default());
    assert_eq!(summary.place, u64::from(rows));
}

#[test]
fn rows_of_any_number_are_read() {
    let old = Old::new();
    for number in [i64::MIN, -5, 0, 7, i64::MAX] {
        old.row(1, &format!("honey_id = {number}"));
    }
    let events = events(&old.path(), &Options::default());
    let places: Vec<u64> = events.iter().map(|event| event.place).collect();
    assert_eq!(places, [0, 0, 0, 7, i64::MAX as u64]);
    let after = |after| read(&old.path(), &Options { after, ..Options::default() }).0.len();
    assert_eq!((after(7), after(i64::MAX as u64), after(u64::MAX)), (1, 0, 0));
}

#[test]
fn what_4_x_adds_while_we_read_is_read_and_it_is_never_locked_out() {
    let old = Old::new();
    for number in 0..3 * READ_ROWS {
        old.row(number, "");
    }
    let mut import = import::open(&old.path(), &Options::default()).unwrap();
    for number in 0..6 * READ_ROWS {
        assert!(import.next().is_some());
        if number % 100 == 0 {
            // 4.x waits for no lock.
            old.connection.busy_timeout(std::time::Duration::ZERO).unwrap();
            for _ in 0..200 {
                old.row(1, "");
            }
        }
    }
    let (done, total) = import.progress();
    assert_eq!((done, total), (u64::from(6 * READ_ROWS), u64::from(3 * READ_ROWS)));
}

#[test]
fn a_schema_that_would_take_for_ever_or_fill_the_memory_is_an_error() {
    let with = |tables: u32, columns: &str| {
        let old = Old::new();
        let sql = format!(
            "PRAGMA writable_schema = ON;
             WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < {tables})
             INSERT INTO sqlite_schema
             SELECT 'table', 't' || v, 't' || v, 2, 'CREATE TABLE t' || v || '({columns})' FROM n"
        );
        old.connection.execute_batch(&sql).unwrap();
        let read = import::open(&old.path(), &Options::default()).and_then(|mut import| {
            assert_eq!(import.by_ref().count(), 0);
            import.finish()
        });
        read.unwrap_err().to_string()
    };
    let many = with(400_000, "c");
    assert!(many.contains("hundreds of tables"), "{many}");
    let columns: Vec<String> = (0..200).map(|n| format!("c{n}")).collect();
    let wide = with(1, &columns.join(","));
    assert!(wide.contains("too many columns"), "{wide}");
    let long = with(1, &"x".repeat(20_000));
    assert!(long.contains("malformed"), "{long}");
}

#[test]
fn old_versions_may_lack_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    let connection = Connection::open(&path).unwrap();
    let sql = format!(
        "CREATE TABLE honey (honey_id INTEGER PRIMARY KEY, event_timestamp TEXT, event_uuid TEXT,
             source_ip TEXT);
         INSERT INTO honey VALUES (3, '2022-01-01 00:00:00.1', '{}', '203.0.113.7')",
        id(1)
    );
    connection.execute_batch(&sql).unwrap();
    let event = &events(&path, &Options::default())[0];
    assert_eq!((event.place, event.method.len()), (3, 0));
}

#[test]
fn another_sqlite_file_is_refused_with_what_is_wrong() {
    for (schema, what) in [
        ("CREATE TABLE bees (id)", "no table honey"),
        ("CREATE TABLE honey (honey_id INTEGER PRIMARY KEY, source_ip)", "no event_uuid, no event_timestamp"),
        ("CREATE TABLE honey (honey_id INTEGER, event_uuid, event_timestamp, source_ip)", "honey_id INTEGER PRIMARY KEY"),
        ("CREATE TABLE honey (honey_id TEXT PRIMARY KEY, event_uuid, event_timestamp, source_ip) WITHOUT ROWID", "no plain table"),
        ("CREATE VIEW honey AS SELECT 1 AS honey_id, 2 AS event_uuid, 3 AS event_timestamp, 4 AS source_ip", "no plain table"),
        ("CREATE TABLE honey (honey_id INTEGER PRIMARY KEY, event_uuid, event_timestamp, source_ip,
              method AS (hex(zeroblob(1000000000))))", "computes columns"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch(schema).unwrap();
        let error = refused(&path);
        assert!(matches!(error, ImportError::Schema { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_damaged_file_says_so_after_what_could_be_read() {
    let old = Old::new();
    for number in 0..3000 {
        old.row(number, "");
    }
    let path = old.path();
    let bytes = fs::read(&path).unwrap();
    let damaged = old.folder.path().join("damaged.db");

    // The last third is missing.
    fs::write(&damaged, &bytes[..bytes.len() / 3 * 2]).unwrap();
    let mut import = import::open(&damaged, &Options::default()).unwrap();
    let found = import.by_ref().filter(Result::is_ok).count();
    assert!((100..3000).contains(&found), "{found}");
    let error = import.finish().unwrap_err();
    assert!(matches!(error, ImportError::Damaged { place: 1.., .. }), "{error}");

    // All of the tables' pages are noise.
    let noise: Vec<u8> = (0..bytes.len()).map(|n| (n * 31 % 251) as u8).collect();
    fs::write(&damaged, [&bytes[..100], &noise[100..]].concat()).unwrap();
    assert!(matches!(refused(&damaged), ImportError::Damaged { .. }));
}

#[test]
fn damage_anywhere_is_an_error_or_other_rows_and_the_end_comes() {
    let old = Old::new();
    for number in 0..400 {
        old.row(number, "");
    }
    let bytes = fs::read(old.path()).unwrap();
    let damaged = old.folder.path().join("damaged.db");
    for n in 0..300usize {
        let mut copy = bytes.clone();
        for k in 0..8 {
            let at = (n * 7919 + k * 104_729) % bytes.len();
            copy[at] ^= (n + k) as u8 | 1;
        }
        fs::write(&damaged, &copy).unwrap();
        let Ok(mut import) = import::open(&damaged, &Options::default()) else { continue };
        let read = import.by_ref().take(100_000).count();
        assert!(read < 100_000);
    }
}

#[test]
fn a_file_of_which_a_write_was_interrupted_needs_finishing_first() {
    let old = Old::new();
    for number in 0..400 {
        old.row(number, "");
    }
    let cut = old.folder.path().join("cut.db");
    old.connection
        .execute_batch("PRAGMA cache_size = 1; BEGIN; UPDATE honey SET method = 'x'")
        .unwrap();
    fs::copy(old.path(), &cut).unwrap();
    fs::copy(
        old.folder.path().join("sentrypeer.db-journal"),
        old.folder.path().join("cut.db-journal"),
    )
    .unwrap();
    let error = refused(&cut);
    assert!(matches!(error, ImportError::Unfinished { .. }), "{error}");
    assert!(error.to_string().contains("cut.db-journal"), "{error}");
    // What the message says to do helps.
    let mended = Connection::open(&cut).unwrap();
    mended.query_row("PRAGMA quick_check", [], |_| Ok(())).unwrap();
    assert_eq!(events(&cut, &Options::default()).len(), 400);
}

#[test]
fn a_file_that_somebody_locks_says_so() {
    let old = Old::new();
    old.row(1, "");
    let mut import = import::open(&old.path(), &Options::default()).unwrap();
    old.connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert!(import.next().is_none());
    assert!(matches!(import.finish().unwrap_err(), ImportError::Locked { .. }));
}

/// Run by the next test in a namespace of its own, where the disk cannot be written to.
#[test]
#[ignore = "needs the file that ARCHIVE_READ_ONLY names"]
fn reads_the_file_that_is_named() {
    let path = PathBuf::from(std::env::var_os("ARCHIVE_READ_ONLY").unwrap());
    assert!(fs::write(path.with_extension("new"), "").is_err(), "the disk can be written to");
    match std::env::var("ARCHIVE_EXPECTED").unwrap().as_str() {
        "unfinished" => assert!(matches!(refused(&path), ImportError::Unfinished { .. })),
        rows => assert_eq!(events(&path, &Options::default()).len().to_string(), rows),
    }
}

/// Runs the test above on `file` with its folder mounted so that nothing can be written there.
fn on_a_read_only_disk(file: &Path, expected: &str) -> Option<std::process::Output> {
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" || exit 77
        exec \"$2\" --exact sqlite::reads_the_file_that_is_named --ignored";
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script, "sh"])
        .arg(file.parent().unwrap())
        .arg(std::env::current_exe().unwrap())
        .env("ARCHIVE_READ_ONLY", file)
        .env("ARCHIVE_EXPECTED", expected)
        .output()
        .ok()?;
    let refused =
        output.status.code() == Some(77) || !output.stderr.is_empty() && output.stdout.is_empty();
    (!refused).then_some(output)
}

#[test]
fn a_file_on_a_read_only_disk_is_read() {
    for wal in [false, true] {
        let old = Old::new();
        if wal {
            old.connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        }
        old.row(1, "");
        old.row(2, "");
        let path = old.folder.path().join("my #1 100%?.db");
        // With a write-ahead log beside it that holds the rows, the file alone is not the whole truth.
        let unfinished = old.folder.path().join("unfinished/x.db");
        fs::create_dir(unfinished.parent().unwrap()).unwrap();
        if wal {
            fs::copy(old.path(), &unfinished).unwrap();
            fs::copy(
                old.folder.path().join("sentrypeer.db-wal"),
                unfinished.with_extension("db-wal"),
            )
            .unwrap();
        }
        old.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        fs::copy(old.path(), &path).unwrap();
        let Some(output) = on_a_read_only_disk(&path, "2") else {
            eprintln!("skipped: no mount namespace here");
            return;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        if wal {
            let output = on_a_read_only_disk(&unfinished, "unfinished").unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

#[test]
fn the_format_is_told() {
    let old = Old::new();
    assert_eq!(
        import::open(&old.path(), &Options::default()).unwrap().format(),
        Format::SentryPeer4
    );
}
