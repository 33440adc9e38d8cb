//! JSON logs.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sentrypeer_archive::export::Format;
use sentrypeer_archive::import::{self, ImportError, Options, Origin};
use sentrypeer_archive::imported::Reason;
use sentrypeer_archive::limits::LINE_BYTES_MAX;
use sentrypeer_storage::event::{
    METHOD_BYTES_MAX, NUMBER_BYTES_MAX, USER_AGENT_BYTES_MAX, Verification,
};
use sentrypeer_storage::event_json;

use crate::support::{any_event, event, events, kept, producer, read, resumes_everywhere, written};

/// A file with these bytes.
fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Three events, and between them everything that no event is.
fn mixed() -> Vec<u8> {
    let [one, two, three] = [1, 2, 3].map(|seq| written(Format::Json, &[event(seq)]));
    let long = [b"{\"a\":\"".as_slice(), &vec![b'x'; LINE_BYTES_MAX], b"\"}\n"].concat();
    let no_id = String::from_utf8(one.clone()).unwrap().replace("event_uuid", "id");
    let torn = &three[..three.len() / 2];
    let parts: [&[u8]; 9] =
        [&one, b"\n", b"\0\0\0\xff\xfe\n", &long, no_id.as_bytes(), &two, b"{}\r\n", &three, torn];
    parts.concat()
}

#[test]
fn the_lines_of_an_export_are_those_of_the_log() {
    let events = [event(1), event(2)];
    let log: String =
        events.iter().map(|event| event_json::to_line(event, &producer()) + "\n").collect();
    assert_eq!(String::from_utf8(written(Format::Json, &events)).unwrap(), log);
}

#[test]
fn what_is_no_event_is_skipped_and_counted_and_what_follows_is_read() {
    let file = file(&mixed());
    let (items, summary) = read(file.path(), &Options::default());
    let found: Vec<_> = items.iter().map(|item| item.as_ref().map_err(|s| s.reason)).collect();
    let [
        Ok(one),
        Err(Reason::NotJson),
        Err(Reason::LongLine),
        Err(Reason::Id),
        Ok(two),
        Err(Reason::Id),
        Ok(three),
        Err(Reason::TornLine),
    ] = found.as_slice()
    else {
        panic!("{found:?}");
    };
    assert_eq!([one.id, two.id, three.id], [1, 2, 3].map(|seq| event(seq).id));
    assert_eq!((summary.events, summary.skipped.total()), (3, 5));
    assert_eq!(
        summary.skipped.to_string(),
        "5 (1 that are no JSON, 1 torn at the end, 1 in lines that are too long, 2 without an id)"
    );
}

#[test]
fn a_log_is_read_on_from_every_place() {
    // Not from behind a torn line: its place is before it, and it is found again.
    let whole = mixed();
    let end = whole.iter().rposition(|byte| *byte == b'\n').unwrap();
    let log = file(&whole[..=end]);
    resumes_everywhere(log.path(), &Options::default());
    resumes_everywhere(file(&gzip(&whole[..=end])).path(), &Options::default());
}

#[test]
fn a_torn_line_is_read_when_it_is_completed() {
    let lines = written(Format::Json, &[event(1), event(2)]);
    let mut log = file(&lines[..lines.len() - 30]);
    let (_, summary) = read(log.path(), &Options::default());
    assert_eq!((summary.events, summary.skipped.of(Reason::TornLine)), (1, 1));
    log.write_all(&lines[lines.len() - 30..]).unwrap();
    let rest = events(log.path(), &Options { after: summary.place, ..Options::default() });
    assert_eq!(rest.iter().map(|event| event.id).collect::<Vec<_>>(), [event(2).id]);
}

#[test]
fn a_last_line_that_lacks_only_its_end_is_an_event_and_is_not_read_twice() {
    let lines = written(Format::Json, &[event(1), event(2), event(3)]);
    let two = written(Format::Json, &[event(1), event(2)]).len();
    let mut log = file(&lines[..two - 1]);
    let (_, summary) = read(log.path(), &Options::default());
    assert_eq!((summary.events, summary.place), (2, two as u64 - 1));
    log.write_all(&lines[two - 1..]).unwrap();
    let rest = events(log.path(), &Options { after: summary.place, ..Options::default() });
    assert_eq!(rest.iter().map(|event| event.id).collect::<Vec<_>>(), [event(3).id]);
}

#[test]
fn a_place_that_is_none_of_the_file_is_refused() {
    let lines = written(Format::Json, &[event(1)]);
    for bytes in [lines.clone(), gzip(&lines)] {
        let log = file(&bytes);
        for after in [1, 17, lines.len() as u64 + 1, u64::MAX] {
            let opened = import::open(log.path(), &Options { after, ..Options::default() });
            let error = opened.err().unwrap();
            assert!(matches!(error, ImportError::Place { .. }), "{after}: {error}");
        }
    }
}

#[test]
fn a_gzip_file_that_ends_early_says_so_after_what_could_be_read() {
    let lines: Vec<u8> = (1..2000).flat_map(|seq| written(Format::Json, &[event(seq)])).collect();
    let whole = gzip(&lines);
    let log = file(&whole[..whole.len() / 2]);
    let mut import = import::open(log.path(), &Options::default()).unwrap();
    let read = import.by_ref().count();
    assert!((100..1999).contains(&read), "{read}");
    let error = import.finish().unwrap_err();
    assert!(matches!(error, ImportError::Damaged { .. }), "{error}");
}

#[test]
fn logs_that_gzip_packed_one_after_the_other_are_read() {
    let packed: Vec<u8> =
        (1..4).flat_map(|seq| gzip(&written(Format::Json, &[event(seq)]))).collect();
    assert_eq!(events(file(&packed).path(), &Options::default()).len(), 3);
}

#[test]
fn an_empty_log_has_no_events() {
    assert!(events(file(b"").path(), &Options::default()).is_empty());
}

#[test]
fn other_files_are_refused_by_name() {
    let refused = |bytes: &[u8]| {
        let file = file(bytes);
        import::open(file.path(), &Options::default()).err().unwrap()
    };
    assert!(matches!(refused(b"redb\x1a\n\xa9\r\n\0"), ImportError::OwnDatabase { .. }));
    assert!(matches!(refused(b"id,time\n"), ImportError::Unknown { .. }));
    assert!(matches!(refused(&gzip(b"id,time\n")), ImportError::Unknown { .. }));
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| import::open(path, &Options::default()).err().unwrap();
    assert!(matches!(open(folder.path()), ImportError::NotAFile { .. }));
    assert!(matches!(open(&folder.path().join("none")), ImportError::Io { .. }));
}

#[test]
fn progress_ends_at_the_size_of_the_file() {
    let lines: Vec<u8> = (1..500).flat_map(|seq| written(Format::Json, &[event(seq)])).collect();
    for bytes in [lines.clone(), gzip(&lines)] {
        let log = file(&bytes);
        let size = fs::metadata(log.path()).unwrap().len();
        let mut import = import::open(log.path(), &Options::default()).unwrap();
        assert_eq!(import.by_ref().count(), 499);
        assert_eq!(import.progress(), (size, size));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What the log keeps of an event comes back from it.
    #[test]
    fn what_the_log_keeps_comes_back(event in any_event()) {
        prop_assume!(!event.source.ip().is_unspecified());
        let file = file(&written(Format::Json, std::slice::from_ref(&event)));
        let options = Options { origin: Origin::Own, ..Options::default() };
        let back = &events(file.path(), &options)[0];
        prop_assert_eq!(back.id, event.id);
        prop_assert_eq!(back.created_by_node_id, Some(producer().node_id));
        prop_assert_eq!(back.time, event.time);
        prop_assert_eq!(back.source.ip(), event.source.ip());
        prop_assert_eq!(back.destination.ip().is_unspecified(), event.destination.ip().is_unspecified());
        prop_assert_eq!(back.transport, event.transport);
        prop_assert_eq!(back.collected, event.collected);
        prop_assert_eq!(back.anomalies, event.anomalies);
        prop_assert!(back.verification <= Verification::Tls);
        prop_assert_eq!(&*back.method, kept(&event.method, METHOD_BYTES_MAX));
        prop_assert_eq!(&*back.number, kept(&event.number, NUMBER_BYTES_MAX));
        prop_assert_eq!(&*back.user_agent, kept(&event.user_agent, USER_AGENT_BYTES_MAX));
        prop_assert_eq!(&*back.message, kept(&event.message, usize::MAX));
    }

    /// A file of anything is read to its end.
    #[test]
    fn any_file_of_lines_is_read_to_its_end(bytes: Vec<u8>) {
        let bytes = [b"{}\n".as_slice(), &bytes].concat();
        let (items, summary) = read(file(&bytes).path(), &Options::default());
        prop_assert!(!items.is_empty() && summary.place <= bytes.len() as u64);
    }
}
