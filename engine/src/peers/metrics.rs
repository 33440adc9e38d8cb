//! What `/metrics` says of sharing. No label names an address, a number or a node.

use sentrypeer_dht::status::Status;
use sentrypeer_http::metrics::{Kind, family, sample};

use super::Peers;

/// A family without labels.
type Plain = (&'static str, Kind, &'static str, fn(&Status) -> u64);

const PLAIN: &[Plain] = &[
    ("sentrypeer_peers_known", Kind::Gauge, "Nodes that are remembered.", |status| {
        status.peers.len() as u64
    }),
    ("sentrypeer_peers_readable", Kind::Gauge, "Nodes that can be read today.", |status| {
        status.partners as u64
    }),
    ("sentrypeer_peers_counting", Kind::Gauge, "Nodes whose word counts in a quorum.", |status| {
        count(status.peers.iter().filter(|peer| peer.counts))
    }),
    (
        "sentrypeer_peers_distrusted",
        Kind::Gauge,
        "Nodes that are denied, or were caught lying.",
        |status| count(status.peers.iter().filter(|peer| peer.distrust.is_some())),
    ),
    (
        "sentrypeer_peers_lonely",
        Kind::Gauge,
        "Whether no other node was met for five minutes.",
        |status| status.is_lonely.into(),
    ),
    (
        "sentrypeer_peers_evicted_total",
        Kind::Counter,
        "Nodes that were forgotten because there were too many.",
        |status| status.peers_evicted,
    ),
    (
        "sentrypeer_peers_restarts_total",
        Kind::Counter,
        "How often OpenDHT was started again.",
        |status| status.restarts,
    ),
    (
        "sentrypeer_peers_epochs_unheard_total",
        Kind::Counter,
        "Epochs whose batches no node took in time. They are told again.",
        |status| status.counts.epochs_unheard,
    ),
    ("sentrypeer_peers_puts_failed_total", Kind::Counter, "Values that no node took.", |status| {
        status.counts.puts_failed
    }),
    ("sentrypeer_peers_proofs_total", Kind::Counter, "Proofs that a node has lied.", |status| {
        status.counts.proofs
    }),
];

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    items.count() as u64
}

/// Appends the families, if the node shares.
pub fn render(peers: &Peers, out: &mut String) {
    if !peers.is_wanted() {
        return;
    }
    let status = peers.status();
    let up = status.as_ref().is_some_and(|status| status.port != 0);
    family(out, "sentrypeer_peers_up", Kind::Gauge, "Whether OpenDHT runs.");
    sample(out, "sentrypeer_peers_up", &[], u64::from(up));
    if let Some(status) = status {
        of_status(&status, out);
    }
}

fn of_status(status: &Status, out: &mut String) {
    for (name, kind, help, value) in PLAIN {
        family(out, name, *kind, help);
        sample(out, name, &[], value(status));
    }
    let counts = &status.counts;
    let subjects = |of: (usize, usize)| [("address", of.0 as u64), ("number", of.1 as u64)];
    let both = |given, got| [("given", given), ("got", got)];
    let (gauge, counter) = (Kind::Gauge, Kind::Counter);
    let acted_on = "What is acted on because enough other nodes say so.";
    for (name, kind, help, label, values) in [
        ("sentrypeer_peers_named", gauge, "What other nodes name.", "kind", subjects(status.named)),
        ("sentrypeer_peers_listed", gauge, acted_on, "kind", subjects(status.listed)),
        (
            "sentrypeer_peers_batches_total",
            counter,
            "Signed batches.",
            "direction",
            both(counts.batches_given, counts.batches_got),
        ),
        (
            "sentrypeer_peers_records_total",
            counter,
            "Records in signed batches.",
            "direction",
            both(counts.records_given, counts.records_got),
        ),
        (
            "sentrypeer_peers_grants_total",
            counter,
            "Leave to read, for a day.",
            "direction",
            both(counts.grants_given, counts.grants_got),
        ),
        (
            "sentrypeer_peers_legacy_records_total",
            counter,
            "Events in the format of 4.x.",
            "direction",
            both(counts.legacy_given, counts.legacy_got),
        ),
    ] {
        labelled(out, name, kind, help, label, values);
    }
    let name = "sentrypeer_peers_dropped_total";
    let values = [
        ("event", status.dropped.0),
        ("value", status.dropped.1),
        ("half_read", counts.half_read_dropped),
        ("get", status.gets_given_up),
    ];
    labelled(out, name, counter, "What there was no room or time for.", "what", values);
    turned_away(status, out);
    let name = "sentrypeer_peers_refused_total";
    family(out, name, counter, "What was refused of other nodes.");
    for ((what, why), times) in &counts.refused {
        sample(out, name, &[("what", *what), ("why", *why)], *times);
    }
}

fn turned_away(status: &Status, out: &mut String) {
    let name = "sentrypeer_peers_votes_refused_total";
    family(out, name, Kind::Counter, "What other nodes name and what was not counted or listed.");
    let (addresses, numbers) = &status.turned_away;
    for (kind, stats) in [("address", addresses), ("number", numbers)] {
        let values = [("too_many", stats.too_many), ("full", stats.full), ("capped", stats.capped)];
        for (why, times) in values {
            sample(out, name, &[("kind", kind), ("why", why)], times);
        }
    }
}

fn labelled<const N: usize>(
    out: &mut String,
    name: &str,
    kind: Kind,
    help: &str,
    label: &str,
    values: [(&str, u64); N],
) {
    family(out, name, kind, help);
    for (value, times) in values {
        sample(out, name, &[(label, value)], times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_share_has_no_families() {
        let mut text = String::new();
        render(&Peers::default(), &mut text);
        assert_eq!(text, "");
    }

    #[test]
    fn every_family_begins_alike_and_stands_once() {
        let mut status = Status { is_lonely: true, listed: (3, 4), ..Status::default() };
        status.counts.refused.insert(("batch", "too long"), 5);
        let mut text = String::new();
        of_status(&status, &mut text);
        for line in [
            "sentrypeer_peers_lonely 1\n",
            "sentrypeer_peers_listed{kind=\"number\"} 4\n",
            "sentrypeer_peers_refused_total{what=\"batch\",why=\"too long\"} 5\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        let mut names: Vec<&str> = text.lines().filter(|l| l.starts_with("# TYPE ")).collect();
        let all = names.len();
        assert!(names.iter().all(|line| line.starts_with("# TYPE sentrypeer_peers_")), "{text}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
