//! `token`: by the node that runs, or in the file of its tokens. The database is not needed.

use sentrypeer_storage::event::Time;
use serde_json::Value;

use super::keeper::by_node;
use super::{Failure, print};
use crate::config::{Config, Token};
use crate::control;
use crate::control::order::Order;
use crate::control::tokens::{NewToken, TokenOrder};
use crate::guard::Tokens;

pub(super) fn run(config: &Config, wanted: &Token) -> Result<(), Failure> {
    let document = carry_out(config, order(wanted))?;
    match wanted {
        Token::Make { json: true, .. } | Token::List { json: true } => {
            print(format!("{document:#}\n").as_bytes())
        }
        // Alone, so that a script can take it.
        Token::Make { .. } => print(format!("{}\n", text(&document, "token")).as_bytes()),
        Token::List { .. } => print(table(&document).as_bytes()),
        Token::Revoke { .. } => print(format!("revoked {}\n", text(&document, "name")).as_bytes()),
    }
}

fn order(wanted: &Token) -> TokenOrder {
    match wanted {
        Token::Make { name, scopes, expires, requests_per_s, .. } => TokenOrder::Make(NewToken {
            name: name.clone(),
            scopes: *scopes,
            expires: expires.map(|when| when.time_to_come(Time::now())),
            requests_per_s: *requests_per_s,
        }),
        Token::List { .. } => TokenOrder::List,
        Token::Revoke { name } => TokenOrder::Revoke(name.clone()),
    }
}

fn carry_out(config: &Config, order: TokenOrder) -> Result<Value, Failure> {
    if control::is_served(&config.db).map_err(Failure::Node)? {
        let document = by_node(&config.db, &Order::Token(order))?;
        return serde_json::from_slice(&document).map_err(Failure::refused);
    }
    let done = order.carry_out(&Tokens::beside(&config.db));
    done.map_err(|refusal| Failure::Refused(refusal.why))
}

/// A line for each token.
fn table(document: &Value) -> String {
    let tokens = document["tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tokens.is_empty() {
        return "there are no tokens; \"sentrypeer token make NAME\" makes one\n".to_owned();
    }
    let mut lines = vec![row(["NAME", "ID", "SCOPES", "ENDS", "REQUESTS/S"])];
    for token in tokens {
        let scopes: Vec<&str> =
            token["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let ends = match token["expires"].as_str() {
            Some(end) if token["is_over"] == true => format!("over since {end}"),
            Some(end) => end.to_owned(),
            None => "never".to_owned(),
        };
        let rate = token["requests_per_s"].as_u64().map(|rate| rate.to_string());
        let rate = rate.as_deref().unwrap_or("usual");
        let (name, id) = (text(token, "name"), text(token, "id"));
        lines.push(row([name, id, &scopes.join(","), &ends, rate]));
    }
    lines.concat()
}

fn row([name, id, scopes, ends, rate]: [&str; 5]) -> String {
    format!("{name:<20} {id:<16} {scopes:<24} {ends:<29} {rate}\n")
}

fn text<'a>(document: &'a Value, member: &str) -> &'a str {
    document[member].as_str().unwrap_or_default()
}
