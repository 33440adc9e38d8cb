//! `allow`: by the node that runs, or in the file beside its database. The database is not needed.

use std::fs::File;
use std::path::Path;

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
    let is_change = order != AllowOrder::List;
    let _alone = if is_change { Some(lock_folder(&config.db)?) } else { None };
    let book = Book::open(config).map_err(Failure::refused)?;
    let done = order.carry_out(&*book, Time::now());
    let document = done.map_err(|refusal| Failure::Refused(refusal.why))?;
    // Who has named the wrong database would think that it holds.
    if is_change {
        let database = config.db.display();
        eprintln!("sentrypeer: no node runs on {database}: this holds from its next start on");
    }
    Ok(document)
}

/// Waits until no other such command changes what was added, for both would write what they have read. The lock
/// ends with the value, or the process.
fn lock_folder(database: &Path) -> Result<File, Failure> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let locked = File::open(folder).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| {
        let remedy = "nothing was changed; name a database in a folder that you may read";
        Failure::Refused(format!("{}: cannot be locked ({error}); {remedy}", folder.display()))
    })
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_several_commands_add_at_once_is_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.redb");
        let words = ["sentrypeer", "--db"].map(Into::into).into_iter().chain([database.into()]);
        let config = crate::config::load(words, std::iter::empty(), None).unwrap().config;
        let add = |last: u8| {
            let subject = format!("198.18.0.{last}").parse().unwrap();
            let (reason, origin) = (last.to_string(), Origin::Added);
            let entry = Entry { subject, reason, expires: None, origin };
            carry_out(&config, AllowOrder::Add(entry)).unwrap();
        };
        thread::scope(|scope| {
            for last in 0..8 {
                scope.spawn(move || add(last));
            }
        });
        assert_eq!(
            crate::allow::file::load(&crate::allow::file::path(&config.db)).unwrap().len(),
            8
        );
    }
}
