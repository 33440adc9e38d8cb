//! What `/metrics` says of a running node beside its shards: the log, its readers, and orders.

use std::fmt::Display;

use sentrypeer_export::status::{State, Status};
use sentrypeer_http::metrics::{self, Kind};
use sentrypeer_storage::cursor::{Cursor, CursorName};
use sentrypeer_storage::event::Seq;
use sentrypeer_storage::{Store, WriterStats};

/// Appends the families of the log and its readers in Prometheus' text format.
///
/// The names of readers are the operator's and ours; nobody on the network can choose one.
pub fn render(store: &Store, out: &mut String) {
    of_log(store.stats(), out);
    let last = store.snapshot().map_or(Seq(0), |snapshot| snapshot.through);
    of_cursors(&store.cursors(), last, out);
}

fn of_log(stats: &WriterStats, out: &mut String) {
    let name = "sentrypeer_log_bytes";
    metrics::family(out, name, Kind::Gauge, "What the blocks of the log take in the file.");
    metrics::sample(out, name, &[], stats.log_bytes.get());
}

fn of_cursors(cursors: &[(CursorName, Cursor)], last: Seq, out: &mut String) {
    let mut family = |name, kind, help, value: &dyn Fn(&Cursor) -> Box<dyn Display>| {
        metrics::family(out, name, kind, help);
        for (reader, cursor) in cursors {
            metrics::sample(out, name, &[("cursor", reader.as_str())], value(cursor));
        }
    };
    family(
        "sentrypeer_cursor_lag_events",
        Kind::Gauge,
        "Events that a reader of the log has yet to see.",
        &|cursor| Box::new(last.0.saturating_sub(cursor.at.0)),
    );
    family(
        "sentrypeer_cursor_missed_events_total",
        Kind::Counter,
        "Events that were gone before a reader saw them.",
        &|cursor| Box::new(cursor.missed),
    );
    family(
        "sentrypeer_cursor_moved_time_seconds",
        Kind::Gauge,
        "When a reader last went on, Unix time.",
        &|cursor| Box::new(cursor.moved.0 as f64 / 1e9),
    );
}

/// Appends the families of the outputs. Their names are the operator's and ours.
pub fn of_outputs(outputs: &[Status], out: &mut String) {
    let mut family = |name, kind, help, value: fn(&Status) -> u64| {
        if outputs.is_empty() {
            return;
        }
        metrics::family(out, name, kind, help);
        for output in outputs {
            let labels = [("output", output.name.as_str()), ("kind", output.kind)];
            metrics::sample(out, name, &labels, value(output));
        }
    };
    let counter = Kind::Counter;
    family(
        "sentrypeer_output_up",
        Kind::Gauge,
        "Whether an output hands on what comes: 0 while it fails, pauses, or has ended.",
        |output| u64::from(matches!(output.state, State::Running | State::Starting)),
    );
    family(
        "sentrypeer_output_lag_events",
        Kind::Gauge,
        "Events that an output has yet to hand on.",
        |output| output.lag_events,
    );
    family(
        "sentrypeer_output_lag_seconds",
        Kind::Gauge,
        "Age of the last event that an output handed on, if there are more.",
        |output| output.lag_s,
    );
    let sent = "Events that the receiver has.";
    family("sentrypeer_output_sent_events_total", counter, sent, |output| output.sent);
    let filtered = "Events that the output's filter left out.";
    family("sentrypeer_output_filtered_events_total", counter, filtered, |output| output.filtered);
    let refused = "Events that the receiver refused for good.";
    family("sentrypeer_output_refused_events_total", counter, refused, |output| output.set_aside);
    let failures = "How often handing on failed.";
    family("sentrypeer_output_failures_total", counter, failures, |output| output.failures);
}

#[cfg(test)]
mod tests {
    use sentrypeer_storage::event::Time;

    use super::*;

    #[test]
    fn a_reader_appears_with_its_lag_and_what_it_missed() {
        let cursor = Cursor { at: Seq(90), missed: 7, moved: Time(1_500_000_000) };
        let cursors = [(CursorName::new("json-log").unwrap(), cursor)];
        let mut text = String::new();
        of_cursors(&cursors, Seq(100), &mut text);
        for line in [
            "sentrypeer_cursor_lag_events{cursor=\"json-log\"} 10\n",
            "sentrypeer_cursor_missed_events_total{cursor=\"json-log\"} 7\n",
            "sentrypeer_cursor_moved_time_seconds{cursor=\"json-log\"} 1.5\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        text.clear();
        of_cursors(&cursors, Seq(80), &mut text);
        assert!(text.contains("lag_events{cursor=\"json-log\"} 0\n"), "{text}");
    }
}
