//! `allow`: by the node that runs, or in the file beside its database. The database is not needed.

use sentrypeer_http::allow::{Entry, Origin};
use sentrypeer_storage::event::Time;
use serde_json::Value;

use super::keeper::by_node;
use super::{Failure, print};
use crate::allow::Book;
use crate::config::{Allow, Config};
use crate::control;
use crate::control::allow::AllowOrder;
use crate::control::order::Order;

pub(super) fn run(config: &Config, wanted: &Allow) -> Result<(), Failure> {
    let document = carry_out(config, order(wanted))?;
    let text = match wanted {
        Allow::List { json: true } => format!("{document:#}\n"),
        Allow::List { .. } => table(&document),
        Allow::Add { .. } => format!("added {}\n", text(&document, "entry")),
        Allow::Remove { .. } => format!("removed {}\n", text(&document, "removed")),
    };
    print(text.as_bytes())
}

fn order(wanted: &Allow) -> AllowOrder {
    match wanted {
        Allow::List { .. } => AllowOrder::List,
        Allow::Add { subject, reason, expires } => AllowOrder::Add(Entry {
            subject: subject.clone(),
            reason: reason.clone(),
            expires: expires.map(|when| when.time_to_come(Time::now())),
            origin: Origin::Added,
        }),
        Allow::Remove { subject } => AllowOrder::Remove(subject.clone()),
    }
}

fn carry_out(config: &Config, order: AllowOrder) -> Result<Value, Failure> {
    if control::is_served(&config.db).map_err(Failure::Node)? {
        let document = by_node(&config.db, &Order::Allow(order))?;
        return serde_json::from_slice(&document).map_err(Failure::refused);
    }
    let book = Book::open(config).map_err(Failure::refused)?;
    let is_change = order != AllowOrder::List;
    let done = order.carry_out(&*book, Time::now());
    let document = done.map_err(|refusal| Failure::Refused(refusal.why))?;
    // Who has named the wrong database would think that it holds.
    if is_change {
        let database = config.db.display();
        eprintln!("sentrypeer: no node runs on {database}: this holds from its next start on");
    }
    Ok(document)
}

/// A line for each entry.
fn table(document: &Value) -> String {
    let entries = document["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    if entries.is_empty() {
        return "nothing is listed; \"sentrypeer allow add\" and allow in the configuration list something\n"
            .to_owned();
    }
    let mut lines = row(["ENTRY", "ORIGIN", "ENDS", "REASON"]);
    for entry in entries {
        let ends = entry["expires"].as_str().unwrap_or("never");
        lines += &row([text(entry, "entry"), text(entry, "origin"), ends, text(entry, "reason")]);
    }
    lines
}

fn row([entry, origin, ends, reason]: [&str; 4]) -> String {
    let line = format!("{entry:<20} {origin:<13} {ends:<29} {reason}");
    format!("{}\n", line.trim_end())
}

fn text<'a>(document: &'a Value, member: &str) -> &'a str {
    document[member].as_str().unwrap_or_default()
}
