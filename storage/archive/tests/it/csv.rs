//! CSV, read back by a reader that is not ours.

use proptest::prelude::*;
use sentrypeer_archive::export::Format;
use sentrypeer_archive::export::columns::COLUMNS;

use crate::support::{any_event, event, written};

fn records(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn a_record_has_everything_that_an_event_has() {
    let rows = records(&written(Format::Csv, &[event(1)]));
    let expected = [
        ("event_timestamp", "2026-11-23 23:52:37.000127100"),
        ("event_uuid", &event(1).id.to_string()),
        ("created_by_node_id", "7c1a3c52-5f0e-4a39-9d2b-6e0f4f1b8a10"),
        ("collected_method", "responsive"),
        ("transport_type", "UDP"),
        ("verification", "return-path"),
        ("source_ip", "203.0.113.1"),
        ("source_port", "5066"),
        ("destination_ip", "198.51.100.2"),
        ("destination_port", "5060"),
        ("called_number", "+46500729221"),
        ("called_number_kind", "called"),
        ("called_number_e164", "+46500729221"),
        ("called_number_country", "SE"),
        ("sip_method", "INVITE"),
        ("sip_user_agent", "friendly-scanner"),
        ("anomalies_observed", "folded"),
        ("anomalies_invalid", "angle-open"),
        ("sip_message", "INVITE sip:+46500729221@h SIP/2.0\r\n\r\n"),
    ];
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0], expected.map(|(name, _)| name));
    assert_eq!(rows[1], expected.map(|(_, value)| value));
}

#[test]
fn lines_end_as_the_standard_says_and_what_is_missing_is_empty() {
    let mut bare = event(1);
    (bare.number, bare.user_agent, bare.message) = Default::default();
    bare.source.set_port(0);
    bare.destination = "0.0.0.0:0".parse().unwrap();
    let text = String::from_utf8(written(Format::Csv, &[bare])).unwrap();
    let line = text.lines().nth(1).unwrap();
    let end = ",return-path,203.0.113.1,,,,,called,,,INVITE,,folded,angle-open,";
    assert!(line.ends_with(end), "{line}");
    assert!(text.ends_with("\r\n") && text.matches("\r\n").count() == 2);
}

#[test]
fn what_looks_like_a_formula_is_what_was_sent() {
    let mut event = event(1);
    event.user_agent = b"=HYPERLINK(\"http://x\",\"y\")".as_slice().into();
    let rows = records(&written(Format::Csv, &[event]));
    assert_eq!(rows[1][15], "=HYPERLINK(\"http://x\",\"y\")");
    assert_eq!(rows[1][10], "+46500729221");
}

#[test]
fn no_control_reaches_a_terminal() {
    let mut event = event(1);
    event.user_agent = b"\x1b]0;owned\x07\0\x9b\xff".as_slice().into();
    let bytes = written(Format::Csv, &[event]);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.chars().all(|c| !c.is_control() || matches!(c, '\r' | '\n')));
    assert!(text.contains("\u{fffd}]0;owned\u{fffd}\u{fffd}\u{fffd}\u{fffd}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_event_is_one_record_of_all_columns(events in prop::collection::vec(any_event(), 0..4)) {
        let rows = records(&written(Format::Csv, &events));
        prop_assert_eq!(rows.len(), events.len() + 1);
        for (row, event) in rows[1..].iter().zip(&events) {
            prop_assert_eq!(row.len(), COLUMNS.len());
            let clean = |bytes: &[u8]| {
                let controls = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
                String::from_utf8_lossy(bytes).replace(controls, "\u{fffd}")
            };
            prop_assert_eq!(&row[10], &clean(&event.number));
            prop_assert_eq!(&row[15], &clean(&event.user_agent));
            prop_assert_eq!(&row[18], &clean(&event.message));
        }
    }
}
