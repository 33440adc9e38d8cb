//! Random requests by somebody who has read `/openapi.json`: right in most, and wrong in some.

use serde_json::Value;

/// Numbers that look random, the same in every run (xorshift64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }

    /// Bytes that mean something somewhere, percent-encoded where a target needs it.
    pub fn text(&mut self) -> String {
        const PIECES: [&str; 24] = [
            "198.18.0.7",
            "2a00:1:2:3::9",
            "::",
            "0",
            "1",
            "+44",
            "%2B44",
            "-1",
            "*",
            "%00",
            "%ff",
            "%",
            "tls",
            "INVITE",
            "24h",
            "none",
            "18446744073709551616",
            "1e9",
            "/",
            "%2F",
            "..",
            "2026-11-23T23:52:36Z",
            "ld0-",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ];
        (0..1 + self.roll(3)).map(|_| *self.pick(&PIECES)).collect()
    }
}

/// An operation of the document.
pub struct Operation {
    pub method: String,
    pub path: String,
    /// The names of its parameters, and values that their schemas allow.
    query: Vec<(String, Vec<String>)>,
    pub statuses: Vec<String>,
}

/// All operations of the document.
pub fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if method == "parameters" {
                continue;
            }
            let parameters = operation["parameters"].as_array().unwrap().iter().map(|parameter| {
                let reference = parameter["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
                let parameter = document.pointer(reference).unwrap();
                (parameter["name"].as_str().unwrap().to_owned(), values(&parameter["schema"]))
            });
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                query: parameters.collect(),
                statuses: operation["responses"].as_object().unwrap().keys().cloned().collect(),
            });
        }
    }
    found
}

fn values(schema: &Value) -> Vec<String> {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    }
    let bounds = [&schema["minimum"], &schema["maximum"], &schema["default"]];
    let bounds = bounds.into_iter().filter(|bound| bound.is_u64()).map(Value::to_string);
    let known = match schema["format"].as_str() {
        Some("date-time") => vec!["2026-11-23T23:52:40Z", "1970-01-01T00:00:00Z"],
        _ if schema["type"] == "integer" => vec!["1", "7"],
        _ => vec!["198.18.0.7", "198.18.0.0/15", "+442071234567", "GB", "INVITE", "friendly", "x"],
    };
    bounds.chain(known.into_iter().map(str::to_owned)).collect()
}

/// What stands in paths.
const PARTS: [&str; 7] =
    ["198.18.0.7", "+442071234567", "csv", "nft", "stix", "misp", "manifest.json"];

impl Operation {
    /// Path and query of a request.
    pub fn target(&self, dice: &mut Dice, ids: &[String]) -> (String, String) {
        let mut path = String::new();
        for segment in self.path.split_inclusive('/') {
            let (name, slash) = segment.strip_suffix('/').map_or((segment, ""), |name| (name, "/"));
            let part: &str = match name.strip_prefix('{') {
                None => name,
                Some(_) if dice.roll(3) == 0 => &dice.text(),
                Some("id}") => dice.pick::<String>(ids),
                Some(_) => dice.pick::<&str>(&PARTS),
            };
            path.push_str(part);
            path.push_str(slash);
        }
        let mut query = Vec::new();
        for (name, values) in &self.query {
            if dice.roll(4) == 0 {
                let value = if dice.roll(4) == 0 { dice.text() } else { dice.pick(values).clone() };
                query.push(format!("{name}={value}"));
            }
        }
        if dice.roll(20) == 0 {
            query.push(format!("{}={}", dice.text(), dice.text()));
        }
        (path, query.join("&"))
    }
}
