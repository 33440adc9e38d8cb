//! `/openapi.json`: what the API is, for programs (OpenAPI 3.1.0).
//!
//! Paths, methods, scopes and errors come from the table that the router itself uses; what is said
//! beside them stands in `operations` and `schemas`, and a test holds it against real answers. `page`
//! shows it to people.

mod operations;
mod page;
mod schemas;

use serde_json::{Map, Value, json};

pub(crate) use self::page::page;

use self::operations::{Operation, operation};
use crate::access::{Need, Scope};
use crate::context::Context;
use crate::endpoint::{Endpoint, SPECS, Spec};
use crate::exchange::{PROBLEM, Response};

/// `/openapi.json`
pub(crate) fn document(ctx: &Context) -> Response {
    Response::json(200, &of(ctx.version))
}

/// The document of a version of the program.
fn of(version: &str) -> Value {
    let described = SPECS.iter().filter_map(|spec| Some((spec, operation(spec.endpoint)?)));
    let mut paths = Map::new();
    for (spec, operation) in described {
        paths.insert(spec.pattern.to_owned(), path(spec, &operation));
    }
    let scopes: Map<String, Value> = Scope::ALL
        .into_iter()
        .map(|scope| (scope.name().to_owned(), json!(about(scope))))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "sentrypeer",
            "version": version,
            "summary": "Who tries to make phone calls that are not his, and which numbers he tries.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"}
        },
        "paths": paths,
        "components": {
            "parameters": operations::parameters(),
            "schemas": schemas::all(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "certificate": {"type": "mutualTLS"},
                "oauth2": {
                    "type": "oauth2",
                    "flows": {"clientCredentials": {"tokenUrl": "/oauth2/token", "scopes": scopes}}
                }
            }
        }
    })
}

fn about(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "Lists, dips, checks, events: everything that is known.",
        Scope::Feed => "Documents for firewalls and other things that block.",
        Scope::Write => "Changes.",
        Scope::Metrics => "How the node does.",
    }
}

fn path(spec: &Spec, operation: &Operation) -> Value {
    let mut path = Map::new();
    if !operation.in_path.is_empty() {
        let parameters = operation.in_path.iter().map(|(name, about)| {
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "description": about,
                "schema": {"type": "string"}
            })
        });
        path.insert("parameters".to_owned(), parameters.collect());
    }
    for method in spec.methods.split(", ") {
        path.insert(method.to_lowercase(), described(spec, operation, method));
    }
    Value::Object(path)
}

fn described(spec: &Spec, operation: &Operation, method: &str) -> Value {
    let refer = |name: &&str| json!({"$ref": format!("#/components/parameters/{name}")});
    let query = if is_change(method) { &[] } else { operation.query };
    let mut described = json!({
        "operationId": format!("{}{}", method.to_lowercase(), operation.id),
        "summary": operation.summary,
        "parameters": query.iter().map(refer).collect::<Vec<_>>(),
        "responses": responses(spec, operation, method),
        "security": security(spec.need, is_change(method)),
    });
    let body = operation.change.filter(|_| is_change(method)).and_then(|(body, _)| body);
    if let Some(body) = body {
        let schema = json!({"schema": {"$ref": format!("#/components/schemas/{body}")}});
        let mut content = json!({"application/json": schema});
        if spec.endpoint == Endpoint::OauthToken {
            content["application/x-www-form-urlencoded"] = schema;
        }
        described["requestBody"] = json!({"required": true, "content": content});
    }
    described
}

fn is_change(method: &str) -> bool {
    !matches!(method, "GET" | "HEAD")
}

/// Who comes from this machine needs none of these to read.
fn security(need: Need, is_change: bool) -> Value {
    match need {
        Need::Nothing => json!([]),
        Need::Scope(_) if is_change => json!([
            {"bearer": []},
            {"apiKey": []},
            {"oauth2": [Scope::Write.name()]},
            {"certificate": []}
        ]),
        Need::Scope(scope) => json!([
            {},
            {"bearer": []},
            {"apiKey": []},
            {"oauth2": [scope.name()]},
            {"certificate": []}
        ]),
    }
}

fn responses(spec: &Spec, operation: &Operation, method: &str) -> Value {
    let (media, error) = if spec.pattern.starts_with("/api/v1/") {
        (PROBLEM, "Problem")
    } else if spec.endpoint == Endpoint::OauthToken {
        ("application/json", "OauthError")
    } else {
        ("application/json", "Refusal")
    };
    let with = |description: &str, media: &str, schema: Value| {
        if method == "HEAD" {
            return json!({"description": description});
        }
        json!({"description": description, "content": {media: {"schema": schema}}})
    };
    let refer = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let mut responses = Map::new();
    let changed = operation.change.filter(|_| is_change(method)).map(|(_, changed)| changed);
    let schema = changed.or(operation.schema).map_or_else(|| json!({"type": "string"}), refer);
    if spec.endpoint == Endpoint::AllowList && is_change(method) {
        let added = with("It was added.", operation.media, schema.clone());
        responses.insert("201".to_owned(), added);
    }
    let mut found = with(operation.summary, operation.media, schema);
    if spec.endpoint == Endpoint::HealthCheck && method == "GET" {
        // What it is depends on the request's header.
        found["content"]["text/html"] = json!({"schema": {"type": "string"}});
    }
    responses.insert("200".to_owned(), found);
    if operation.has_nothing {
        let nothing = with("There is nothing.", "application/json", refer("Nothing"));
        responses.insert("404".to_owned(), nothing);
    }
    if operation.has_etag {
        let same = json!({"description": "The client has it already."});
        responses.insert("304".to_owned(), same);
    }
    responses.insert("default".to_owned(), with("Why there is no answer.", media, refer(error)));
    Value::Object(responses)
}
