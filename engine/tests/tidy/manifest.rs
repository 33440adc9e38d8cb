//! Dependencies between the crates point one way, and a guarded crate is a dependency only where it
//! may be named.

use std::fs;
use std::path::Path;

use crate::allowed;
use crate::source::Breach;

/// Each crate of the workspace by its folder, and which of the others it may depend on.
const CRATES: [(&str, &[&str]); 9] = [
    (SIP, &[]),
    ("storage/pack", &[]),
    ("storage", &["pack", "sip"]),
    ("storage/archive", &["storage"]),
    ("http", &["storage"]),
    ("dht", &["storage"]),
    ("engine/export", &["archive", "storage"]),
    ("engine", &["archive", "dht", "export", "http", "sip", "storage"]),
    ("benches", &["dht", "engine", "http", "pack", "sip", "storage"]),
];

/// The parser, which others can use too: it needs one package and nothing of ours.
const SIP: &str = "engine/sip";
const SIP_NEEDS: &str = "memchr";

/// What the packages of the workspace are called, before their folder.
const PREFIX: &str = "sentrypeer-";

pub fn dependencies_point_one_way(root: &Path) -> Vec<Breach> {
    let read = |folder: &str| {
        let path = root.join(folder).join("Cargo.toml");
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let mut breaches = members(&read(""));
    for (name, _) in CRATES {
        breaches.extend(edges(name, &read(name)));
    }
    breaches.extend(the_parser_stands_alone(&read(SIP)));
    breaches
}

/// Every member of the workspace must have its place in [`CRATES`].
fn members(manifest: &str) -> Vec<Breach> {
    let manifest = parse("Cargo.toml", manifest);
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members"));
    let members = members.and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let unknown = members
        .iter()
        .filter_map(toml::Value::as_str)
        .filter(|member| !CRATES.iter().any(|(name, _)| name == member));
    unknown
        .map(|member| breach("", format!("{member} has no place in tidy's order of crates")))
        .collect()
}

fn edges(name: &str, manifest: &str) -> Vec<Breach> {
    let allowed = CRATES.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, to)| to);
    let mut breaches = Vec::new();
    for package in dependencies(&parse(name, manifest)) {
        if let Some(sibling) = package.strip_prefix(PREFIX)
            && !allowed.contains(&sibling)
        {
            breaches.push(breach(name, format!("{name} must not depend on {sibling}")));
        }
        let crate_name = package.replace('-', "_");
        for (guarded, only) in allowed::CRATES {
            if *guarded == crate_name && !only.starts_with(&format!("{name}/")) {
                breaches.push(breach(name, format!("only {only} may use {package}")));
            }
        }
    }
    breaches
}

/// What the parser needs when it is built, tests not counted.
fn the_parser_stands_alone(manifest: &str) -> Vec<Breach> {
    let manifest = parse(SIP, manifest);
    let built = manifest.get("dependencies").and_then(toml::Value::as_table);
    let more = built.into_iter().flatten().filter(|(name, _)| *name != SIP_NEEDS);
    more.map(|(name, _)| breach(SIP, format!("the parser must not need {name}"))).collect()
}

/// The packages that a manifest depends on, in whichever table and under whichever name.
fn dependencies(manifest: &toml::Value) -> Vec<String> {
    let mut found = Vec::new();
    let Some(tables) = manifest.as_table() else { return found };
    for (key, value) in tables {
        if key.ends_with("dependencies") {
            for (name, entry) in value.as_table().into_iter().flatten() {
                let package = entry.get("package").and_then(toml::Value::as_str);
                found.push(package.unwrap_or(name).to_owned());
            }
        } else if key == "target" {
            found.extend(value.as_table().into_iter().flatten().flat_map(|(_, v)| dependencies(v)));
        }
    }
    found
}

fn parse(name: &str, manifest: &str) -> toml::Value {
    toml::from_str(manifest).unwrap_or_else(|e| panic!("manifest of {name}: {e}"))
}

fn breach(folder: &str, what: String) -> Breach {
    Breach {
        path: Path::new(folder).join("Cargo.toml").to_string_lossy().into_owned(),
        line: 1,
        what,
    }
}

#[test]
fn a_dependency_that_points_back_is_a_breach() {
    let of = |name: &str, text: &str| edges(name, text).len();
    assert_eq!(of("storage", "[dependencies]\nsentrypeer-http.workspace = true"), 1);
    assert_eq!(of("http", "[dependencies]\nsentrypeer-dht.workspace = true"), 1);
    assert_eq!(of("dht", "[dev-dependencies]\nsentrypeer-http.workspace = true"), 1);
    assert_eq!(of("dht", "[build-dependencies]\nsentrypeer-engine.workspace = true"), 1);
    assert_eq!(
        of("http", "[target.'cfg(unix)'.dependencies]\nsentrypeer-engine.workspace = true"),
        1
    );
    assert_eq!(
        of("http", "[dependencies]\nx = { package = \"sentrypeer-dht\", path = \"../dht\" }"),
        1
    );
    assert_eq!(of("engine", "[dependencies]\nsentrypeer-benches.workspace = true"), 1);
    assert_eq!(of("http", "[dependencies]\nsentrypeer-storage.workspace = true"), 0);
    assert_eq!(of("engine", "[dependencies]\nsentrypeer-http.workspace = true"), 0);
}

#[test]
fn a_guarded_crate_as_somebody_elses_dependency_is_a_breach() {
    assert_eq!(edges("http", "[dependencies]\nredb.workspace = true").len(), 1);
    assert_eq!(
        edges("http", "[dependencies]\ndb = { package = \"redb\", version = \"4\" }").len(),
        1
    );
    assert_eq!(edges("engine", "[dependencies]\nopendht-sys = \"1\"").len(), 1);
    assert_eq!(edges("storage", "[dependencies]\nredb.workspace = true").len(), 0);
}

#[test]
fn a_new_member_without_a_place_in_the_order_is_a_breach() {
    assert_eq!(members("[workspace]\nmembers = [\"engine\", \"extra\"]").len(), 1);
    assert_eq!(members("[workspace]\nmembers = [\"engine\", \"storage\"]").len(), 0);
}

#[test]
fn a_parser_that_needs_more_is_a_breach() {
    let of = |text: &str| the_parser_stands_alone(text).len();
    assert_eq!(of("[dependencies]\nmemchr.workspace = true\n[dev-dependencies]\nserde = \"1\""), 0);
    assert_eq!(of("[dependencies]\nmemchr = \"2\"\nlog = \"0.4\""), 1);
}
