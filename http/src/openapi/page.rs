//! `/docs`: `/openapi.json` as a page for people. It is made here and loads nothing, so it works without
//! a network, without a script, and under a policy that allows neither.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

use super::of;
use crate::context::Context;
use crate::exchange::{HTML, Response};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h2{font-size:1rem;margin:2rem 0 0;border-top:1px solid #8888;padding-top:1rem}\
code{font-family:ui-monospace,monospace}\
table{border-collapse:collapse;margin:.5rem 0}\
td{padding:.1rem 1rem .1rem 0;vertical-align:top}";

/// `/docs`
pub(crate) fn page(ctx: &Context) -> Response {
    // The hash of the style is all that is allowed, beside links.
    let hash = BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    Response::text(200, HTML, html(&of(ctx.version)))
        .with("Content-Security-Policy", policy)
        .with("X-Content-Type-Options", "nosniff")
        .with("Referrer-Policy", "no-referrer")
}

fn html(document: &Value) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>sentrypeer API</title>\
         <style>{STYLE}</style><h1>sentrypeer {}</h1><p>{} The same for programs: \
         <a href=\"/openapi.json\">/openapi.json</a>.</p>",
        escaped(&document["info"]["version"]),
        escaped(&document["info"]["summary"]),
    );
    for (path, methods) in members(&document["paths"]) {
        for (method, operation) in members(methods) {
            if method != "parameters" && method != "head" {
                let of_path = &methods["parameters"];
                section(&mut out, document, (path, method), (operation, of_path));
            }
        }
    }
    for (name, schema) in members(&document["components"]["schemas"]) {
        let name = Value::from(name.as_str());
        let _ = write!(out, "<h2 id=\"{0}\">{0}</h2>", escaped(&name));
        let required = schema["required"].as_array();
        let rows = members(&schema["properties"]).map(|(name, schema)| {
            let must = required.is_some_and(|names| names.iter().any(|n| n == name));
            let about = if must { "" } else { "may be left out" };
            [code(name), kind(schema), about.to_owned()]
        });
        table(&mut out, rows);
    }
    out.push_str("</html>\n");
    out
}

/// One operation: what it is for, its parameters, its body and its answers.
fn section(
    out: &mut String,
    document: &Value,
    (path, method): (&str, &str),
    (operation, of_path): (&Value, &Value),
) {
    let name = format!("{} {path}", method.to_uppercase());
    let summary = escaped(&operation["summary"]);
    let _ = write!(out, "<h2>{}</h2><p>{summary}</p>", code(&name));
    let parameters = [of_path, &operation["parameters"]].into_iter().filter_map(Value::as_array);
    let rows = parameters.flatten().map(|parameter| {
        let parameter = resolved(document, parameter);
        let name = parameter["name"].as_str().unwrap_or_default();
        [code(name), kind(&parameter["schema"]), escaped(&parameter["description"])]
    });
    table(out, rows);
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if !body.is_null() {
        let _ = write!(out, "<p>Its body is {}.</p>", kind(body));
    }
    let rows = members(&operation["responses"]).map(|(status, response)| {
        let content = members(&response["content"]).next();
        let content = content.map(|(media, content)| (code(media), kind(&content["schema"])));
        let (media, schema) = content.unwrap_or_default();
        [escaped(&Value::from(status.as_str())), format!("{media} {schema}"), {
            escaped(&response["description"])
        }]
    });
    table(out, rows);
}

fn table(out: &mut String, rows: impl Iterator<Item = [String; 3]>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    out.push_str("<table>");
    for [first, second, third] in rows {
        let _ = write!(out, "<tr><td>{first}<td>{second}<td>{third}");
    }
    out.push_str("</table>");
}

/// What a schema is, in words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        let name = escaped(&Value::from(name));
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if let Some(kinds) = schema["oneOf"].as_array() {
        return kinds.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if !schema["items"].is_null() {
        let or_null = if schema["type"] == "array" { "" } else { " or null" };
        return format!("a list of {}{or_null}", kind(&schema["items"]));
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(escaped).collect::<Vec<_>>().join(", ");
    }
    let format = schema["format"].as_str().map_or(String::new(), |format| format!(" ({format})"));
    match &schema["type"] {
        Value::Array(types) => types.iter().map(escaped).collect::<Vec<_>>().join(" or "),
        other => escaped(other) + &escaped(&Value::from(format)),
    }
}

/// What a reference leads to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(&Value::from(text)))
}

/// A text as it stands in a page; nothing for what is none.
fn escaped(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_text_in_a_page() {
        assert_eq!(escaped(&json!("<a href=\"x\">&")), "&lt;a href=&quot;x&quot;&gt;&amp;");
        assert_eq!(
            kind(&json!({"type": "array", "items": {"type": "string"}})),
            "a list of string"
        );
        assert_eq!(kind(&json!({"type": ["string", "null"]})), "string or null");
        let list = json!({"type": ["array", "null"], "items": {"type": "string"}});
        assert_eq!(kind(&list), "a list of string or null");
        let one = json!({"oneOf": [{"$ref": "#/x/Y"}, {"type": "null"}]});
        assert_eq!(kind(&one), "<a href=\"#Y\">Y</a> or null");
    }

    #[test]
    fn the_page_shows_every_operation_and_every_schema_and_loads_nothing() {
        let document = of("1.2.3");
        let page = html(&document);
        for (path, methods) in members(&document["paths"]) {
            for (method, _) in members(methods) {
                let shown = page.contains(&code(&format!("{} {path}", method.to_uppercase())));
                assert_eq!(shown, method != "parameters" && method != "head", "{method} {path}");
            }
        }
        for (name, _) in members(&document["components"]["schemas"]) {
            assert!(page.contains(&format!("<h2 id=\"{name}\">")), "{name}");
        }
        for (at, _) in page.match_indices("href=\"#") {
            let name = page[at + 7..].split('"').next().unwrap();
            assert!(page.contains(&format!("id=\"{name}\"")), "{name}");
        }
        for loads in ["<script", "src=", "<link", "url(", "@import", "//", "style=", "onload"] {
            assert!(!page.contains(loads), "{loads}");
        }
    }
}
