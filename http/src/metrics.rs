//! `/metrics`, in the Prometheus text format 0.0.4.
//!
//! A label is always one of a fixed set of words: never an address, a number or anything else that
//! comes from the network. This document needs no snapshot: a node that replays for long is when
//! its figures are wanted.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use sentrypeer_storage::blocklist::{Selection, blocklist};
use sentrypeer_storage::event::{Time, Transport, Verification};
use sentrypeer_storage::method::Method;
use sentrypeer_storage::snapshot::Snapshot;
use sentrypeer_storage::{Stat, WriterStats};

use crate::context::Context;
use crate::counters::{Counters, Incident};
use crate::exchange::{Lane, PROMETHEUS, Response};
use crate::latency::BOUNDS;

/// The kinds of families that we have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the process lives.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts of what is at most so much.
    Histogram,
}

/// Begins a family of samples: its `HELP` and `TYPE` lines.
///
/// `help` is one line without backslashes.
pub fn family(out: &mut String, name: &str, kind: Kind, help: &str) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    // Writing into a String does not fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Appends a sample of the family `name`. Label values are words that need no escape.
pub fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) {
    out.push_str(name);
    for (index, (label, word)) in labels.iter().enumerate() {
        let opening = if index == 0 { '{' } else { ',' };
        let _ = write!(out, "{opening}{label}=\"{word}\"");
    }
    let closing = if labels.is_empty() { "" } else { "}" };
    let _ = writeln!(out, "{closing} {value}");
}

/// A family of one sample.
fn single(out: &mut String, name: &str, kind: Kind, help: &str, value: impl Display) {
    family(out, name, kind, help);
    sample(out, name, &[], value);
}

/// Everything that the node counts.
pub(crate) fn metrics(ctx: &Context, now: Time) -> Response {
    let mut out = String::with_capacity(16 * 1024);
    family(&mut out, "sentrypeer_info", Kind::Gauge, "What runs here.");
    sample(&mut out, "sentrypeer_info", &[("version", ctx.version)], 1);
    let phase = [("phase", ctx.store.phase().name())];
    family(&mut out, "sentrypeer_phase", Kind::Gauge, "What the writer is doing.");
    sample(&mut out, "sentrypeer_phase", &phase, 1);
    if let Some(snapshot) = ctx.store.snapshot() {
        of_snapshot(&mut out, &snapshot);
        blocked(&mut out, ctx, snapshot, now);
    }
    of_writer(&mut out, ctx.store.stats());
    of_http(&mut out, &ctx.counters);
    latencies(&mut out, &ctx.counters);
    (ctx.metrics)(&mut out);
    Response::text(200, PROMETHEUS, out)
}

/// The tables of a snapshot, as labels.
const TABLES: [&str; 3] = ["sources", "numbers", "user_agents"];

fn of_snapshot(out: &mut String, snapshot: &Snapshot) {
    let sizes = [snapshot.sources.len(), snapshot.numbers.len(), snapshot.agents.len()];
    let name = "sentrypeer_snapshot_rows";
    family(out, name, Kind::Gauge, "Rows of the published generation.");
    for (table, rows) in TABLES.into_iter().zip(sizes) {
        sample(out, name, &[("table", table)], rows);
    }
    let name = "sentrypeer_snapshot_generation";
    single(out, name, Kind::Gauge, "The published generation.", snapshot.generation);
    let name = "sentrypeer_snapshot_time_seconds";
    let published_s = snapshot.time.0 as f64 / 1e9;
    single(out, name, Kind::Gauge, "When it was published, Unix time.", published_s);
    totals(out, snapshot);
}

/// What feeds block now.
fn blocked(out: &mut String, ctx: &Context, snapshot: Arc<Snapshot>, now: Time) {
    let policy = (ctx.policy)();
    let counts = ctx.counters.blocked(now, || {
        let mut counts = [0, 0];
        let selection = Selection::of(&policy);
        for entry in blocklist(snapshot, Arc::clone(&policy), selection, now) {
            counts[usize::from(entry.ip.is_ipv6())] += 1;
        }
        counts
    });
    let name = "sentrypeer_blocked_sources";
    family(out, name, Kind::Gauge, "Sources that feeds block, counted now and then.");
    for (ip, count) in ["4", "6"].into_iter().zip(counts) {
        sample(out, name, &[("family", ip)], count);
    }
}

/// What was counted since the database was made: the figures go on over restarts.
fn totals(out: &mut String, snapshot: &Snapshot) {
    let totals = &snapshot.totals;
    let name = "sentrypeer_events_by_transport_total";
    family(out, name, Kind::Counter, "Events stored, by transport.");
    for (transport, events) in Transport::ALL.into_iter().zip(totals.by_transport) {
        sample(out, name, &[("transport", transport.name())], events);
    }
    let name = "sentrypeer_events_by_method_total";
    family(out, name, Kind::Counter, "Events stored, by SIP method.");
    for (method, events) in Method::ALL.into_iter().zip(totals.by_method) {
        sample(out, name, &[("method", method.name())], events);
    }
    let name = "sentrypeer_events_by_verification_total";
    family(out, name, Kind::Counter, "Events stored, by how well their source is proven.");
    for (level, events) in Verification::ALL.into_iter().zip(totals.by_verification) {
        sample(out, name, &[("verification", level.name())], events);
    }
}

/// What the writer has done since the process started.
fn of_writer(out: &mut String, stats: &WriterStats) {
    use Kind::{Counter, Gauge};
    let plain: [(&str, Kind, &str, &Stat); 10] = [
        ("events_stored_total", Counter, "Events in durable commits.", &stats.events_stored),
        ("commits_total", Counter, "Durable commits.", &stats.commits),
        ("commit_errors_total", Counter, "Commits that failed.", &stats.commit_errors),
        ("blocks_total", Counter, "Blocks written, again or for the first time.", &stats.blocks),
        ("packed_bytes_total", Counter, "Packed blocks written.", &stats.packed_bytes),
        ("raw_bytes_total", Counter, "Events before packing.", &stats.raw_bytes),
        ("events_expired_total", Counter, "Events that retention took.", &stats.events_expired),
        ("rows_expired_total", Counter, "Rows removed for their age.", &stats.rows_expired),
        ("events_lost_total", Counter, "Events lost as the node ended.", &stats.events_lost),
        ("replay_events", Gauge, "Events counted again at the start.", &stats.replay_events),
    ];
    for (name, kind, help, value) in plain {
        single(out, &format!("sentrypeer_writer_{name}"), kind, help, value.get());
    }
    let times: [(&str, Kind, &str, &Stat); 4] = [
        ("commit_seconds_total", Counter, "Time spent in commits.", &stats.commit_ns_sum),
        ("last_commit_seconds", Gauge, "Time of the last commit.", &stats.commit_ns_last),
        ("longest_commit_seconds", Gauge, "Time of the longest commit.", &stats.commit_ns_max),
        ("replay_seconds", Gauge, "Time spent in the replay.", &stats.replay_ns),
    ];
    for (name, kind, help, ns) in times {
        let seconds = ns.get() as f64 / 1e9;
        single(out, &format!("sentrypeer_writer_{name}"), kind, help, seconds);
    }
    let name = "sentrypeer_writer_events_shed_total";
    let help =
        "Events that were not kept whole because the writer could not keep up, by what was kept.";
    family(out, name, Counter, help);
    for (kept, events) in [("row", &stats.messages_shed), ("count", &stats.events_repeated)] {
        sample(out, name, &[("kept", kept)], events.get());
    }
    let name = "sentrypeer_writer_rows_evicted_total";
    family(out, name, Counter, "Rows that left a full table, by whether they were ever proven.");
    for (table, rows) in TABLES.into_iter().zip(&stats.rows_evicted) {
        for (proven, rows) in ["no", "yes"].into_iter().zip(rows) {
            sample(out, name, &[("table", table), ("proven", proven)], rows.get());
        }
    }
    let name = "sentrypeer_writer_events_evicted_total";
    family(out, name, Counter, "Events that those rows counted.");
    for (table, events) in TABLES.into_iter().zip(&stats.events_evicted) {
        sample(out, name, &[("table", table)], events.get());
    }
}

/// How long answers took, where there were any.
fn latencies(out: &mut String, counters: &Counters) {
    let name = "sentrypeer_http_request_seconds";
    let help = "Time from a request's head to its answer's, by lane, route and class of status.";
    family(out, name, Kind::Histogram, help);
    counters.each_latency(|lane, route, class, histogram| {
        let cumulated = histogram.cumulated();
        let all = cumulated[BOUNDS.len()];
        if all == 0 {
            return;
        }
        let labels = [("lane", lane.name()), ("route", route), ("status", class)];
        let bounds = BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (bound, count) in bounds.zip(cumulated) {
            let [lane, route, status] = labels;
            sample(out, &format!("{name}_bucket"), &[lane, route, status, ("le", bound)], count);
        }
        sample(out, &format!("{name}_sum"), &labels, histogram.sum_s());
        sample(out, &format!("{name}_count"), &labels, all);
    });
}

fn of_http(out: &mut String, counters: &Counters) {
    let name = "sentrypeer_http_requests_total";
    family(out, name, Kind::Counter, "Requests answered, by lane, route and class of status.");
    counters.each_request(|lane, route, class, requests| {
        let labels = [("lane", lane.name()), ("route", route), ("status", class)];
        sample(out, name, &labels, requests);
    });
    let name = "sentrypeer_http_connections";
    family(out, name, Kind::Gauge, "Open connections, by lane.");
    for lane in [Lane::Api, Lane::Dip] {
        sample(out, name, &[("lane", lane.name())], counters.open_connections(lane));
    }
    let name = "sentrypeer_http_connections_accepted_total";
    family(out, name, Kind::Counter, "Connections taken, by lane.");
    for lane in [Lane::Api, Lane::Dip] {
        sample(out, name, &[("lane", lane.name())], counters.accepted_connections(lane));
    }
    let name = "sentrypeer_http_streams";
    family(out, name, Kind::Gauge, "Open live streams of events.");
    sample(out, name, &[], counters.open_streams());
    let name = "sentrypeer_http_incidents_total";
    family(out, name, Kind::Counter, "What was refused, cut or broken, by lane and kind.");
    for lane in [Lane::Api, Lane::Dip] {
        for what in Incident::ALL {
            let labels = [("lane", lane.name()), ("kind", what.name())];
            sample(out, name, &labels, counters.incidents(lane, what));
        }
    }
}
