//! `peers`: with whom the running node shares, and how that is going.

use serde_json::Value;

use super::keeper::by_node;
use super::{Failure, print};
use crate::config::{Config, PeersWanted};
use crate::control::order::Order;
use crate::control::peers::PeerOrder;

pub(super) fn run(config: &Config, wanted: &PeersWanted) -> Result<(), Failure> {
    let document = by_node(&config.db, &Order::Peers(wanted.order))?;
    let document: Value = serde_json::from_slice(&document).map_err(Failure::refused)?;
    if wanted.json {
        return print(format!("{document:#}\n").as_bytes());
    }
    let text = match wanted.order {
        PeerOrder::List => overview(&document) + &table(&document),
        PeerOrder::Pardon(node) => format!("{node} is pardoned\n"),
    };
    print(text.as_bytes())
}

/// How sharing is doing, in some lines.
fn overview(document: &Value) -> String {
    let port = document["port"].as_u64().unwrap_or(0);
    let runs = match port {
        0 => "OpenDHT does not run; it is being started again".to_owned(),
        port => format!("UDP port {port}"),
    };
    let gives =
        if document["shares"] == true { "shares" } else { "gives nothing, and gets nothing" };
    let (listed, named) = (&document["listed"], &document["named"]);
    let mut lines = format!(
        "this node is {}, {runs}, {gives}\nlisted because of others: {} of {} addresses, {} of {} numbers\n",
        document["node"].as_str().unwrap_or("not known"),
        listed["addresses"],
        named["addresses"],
        listed["numbers"],
        named["numbers"],
    );
    if let Some(held) = document["held"].as_str() {
        lines += &format!("nothing is published now: {held}\n");
    }
    if document["twin_seen"] == true {
        lines += "another node publishes with this node's identity: see \"sentrypeer identity rotate\"\n";
    }
    if document["is_lonely"] == true {
        lines += "no other node was met for five minutes: let the UDP port through, or name one with -b\n";
    }
    lines
}

fn table(document: &Value) -> String {
    let peers = document["peers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if peers.is_empty() {
        return "no other node is known yet\n".to_owned();
    }
    let mut lines = row(["TRUST", "READ", "GOT", "TRUE", "REFUSED", "GIVEN", "CREDIT", "NODE"]);
    for peer in peers {
        let count = |member: &str| peer[member].as_u64().unwrap_or(0).to_string();
        let credit = format!("{:.1}", peer["credit"].as_f64().unwrap_or(0.0));
        let node = peer["node"].as_str().unwrap_or_default();
        let [got, confirmed, refused, given] = ["got", "confirmed", "refused", "given"].map(count);
        lines +=
            &row([trust(peer), reading(peer), &got, &confirmed, &refused, &given, &credit, node]);
    }
    lines
}

fn trust(peer: &Value) -> &str {
    match (peer["distrust"]["why"].as_str(), peer["regard"].as_str()) {
        (Some(why), _) => why,
        (None, Some("trusted")) => "trusted",
        _ if peer["counts"] == true => "counts",
        _ => "-",
    }
}

/// Who can read whom today.
fn reading(peer: &Value) -> &'static str {
    match (peer["can_read"] == true, peer["is_granted"] == true) {
        (true, true) => "both",
        (true, false) => "we",
        (false, true) => "they",
        (false, false) => "-",
    }
}

fn row([trust, read, got, confirmed, refused, given, credit, node]: [&str; 8]) -> String {
    format!(
        "{trust:<8} {read:<5} {got:>9} {confirmed:>9} {refused:>8} {given:>9} {credit:>8}  {node}\n"
    )
}
