//! `forget`: an address or a number is erased.

use sentrypeer_storage::query::Subject;
use serde_json::Value;

use super::Failure;
use super::database::Table;
use super::keeper::Keeper;
use crate::config::Config;
use crate::control::order::Order;

pub(super) fn run(config: &Config, subject: &Subject) -> Result<(), Failure> {
    let keeper = Keeper::of(config)?;
    let forgotten = keeper.json(Order::Forget(subject.clone()));
    let closed = keeper.close();
    let forgotten = forgotten?;
    closed?;
    table(subject, &forgotten).print()
}

fn table(subject: &Subject, forgotten: &Value) -> Table {
    let mut table = Table::default();
    table.row("forgotten", name(subject));
    let count = |key: &str| forgotten[key].as_u64().unwrap_or(0);
    table.row("events", count("events"));
    table.row("row", if forgotten["row"] == true { "erased" } else { "there was none" });
    table.row("hours", count("hours"));
    if count("damaged") > 0 {
        table.row("left", format_args!("{} events in damaged blocks, unseen", count("damaged")));
    }
    table.row("elsewhere", "outputs and backups keep what they have of it");
    table
}

/// What is forgotten, and as what.
fn name(subject: &Subject) -> String {
    match subject {
        Subject::Source(source) if source.ip().is_ipv6() => {
            format!("{}/64 (an IPv6 address counts by its /64)", source.ip())
        }
        Subject::Source(source) => source.ip().to_string(),
        Subject::Number(number) => {
            format!("{} (a number, as it was dialled)", number.as_bytes().escape_ascii())
        }
    }
}
