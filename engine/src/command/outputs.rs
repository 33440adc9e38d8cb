//! `outputs`: how the outputs of the running node are doing, and orders to them.

use serde_json::Value;

use super::keeper::by_node;
use super::{Failure, print};
use crate::config::{Config, OutputsWanted};
use crate::control::order::Order;
use crate::control::outputs::OutputOrder;

pub(super) fn run(config: &Config, wanted: &OutputsWanted) -> Result<(), Failure> {
    let document = by_node(&config.db, &Order::Output(wanted.order.clone()))?;
    let document: Value = serde_json::from_slice(&document).map_err(Failure::refused)?;
    if wanted.json {
        return print(format!("{document:#}\n").as_bytes());
    }
    let text = match wanted.order {
        OutputOrder::List => table(&document),
        OutputOrder::Pause(_) => format!("{} pauses\n", text(&document, "name")),
        OutputOrder::Resume(_) => format!("{} goes on\n", text(&document, "name")),
        OutputOrder::Reset(..) => format!("{} begins again\n", text(&document, "name")),
    };
    print(text.as_bytes())
}

/// A line for each output, and one for what went wrong last.
fn table(document: &Value) -> String {
    let outputs = document["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if outputs.is_empty() {
        return "this node has no outputs; -j, -s, -w and --sqlite make some\n".to_owned();
    }
    let mut lines = row(["NAME", "STATE", "SENT", "BEHIND", "MISSED", "FAILED", "TO"]);
    for output in outputs {
        let count = |member: &str| output[member].as_u64().unwrap_or(0).to_string();
        let behind = format!("{} ({} s)", count("lag_events"), count("lag_s"));
        let (name, state) = (text(output, "name"), text(output, "state"));
        let (missed, failures) = (count("missed"), count("failures"));
        let to = text(output, "target");
        lines += &row([name, state, &count("sent"), &behind, &missed, &failures, to]);
        if let Some(error) = output["last_error"].as_object() {
            let word = |member: &str| error.get(member).and_then(Value::as_str).unwrap_or_default();
            lines +=
                &format!("    {}: {}\n", word("at"), word("text").replace(char::is_control, "?"));
        }
    }
    lines
}

fn row([name, state, sent, behind, missed, failures, to]: [&str; 7]) -> String {
    format!("{name:<16} {state:<8} {sent:>10} {behind:>16} {missed:>8} {failures:>8}  {to}\n")
}

fn text<'a>(document: &'a Value, member: &str) -> &'a str {
    document[member].as_str().unwrap_or_default()
}
