//! The dashboard and the alert rules under `packaging/`, held against what is really printed.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::node::{Node, at, event};

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

const RULES: &str = "packaging/prometheus/sentrypeer.rules.yml";
const RULES_TEST: &str = "packaging/prometheus/sentrypeer.rules.test.yml";

/// What `/metrics` answers, with nothing of the program above.
fn answer() -> String {
    let node = Node::with(&[event("198.18.0.7", "+44", at(1))]);
    node.get("/livez", at(2));
    node.get("/metrics", at(2)).body
}

/// Texts that stand whole between two quotes in Rust sources, and of word characters alone.
fn words(source: &str) -> impl Iterator<Item = &str> {
    let is_word = |text: &&str| {
        let is_of_it = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        !text.is_empty() && text.chars().all(is_of_it)
    };
    source.split('"').filter(is_word)
}

/// The sources of the crates that print metrics.
fn sources() -> Vec<String> {
    let mut folders: Vec<PathBuf> = ["http/src", "engine/src", "engine/export/src", "storage/src"]
        .map(|f| root().join(f))
        .into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|is| is == "rs") {
                found.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// The names of all samples that there can be: this crate's from a real answer, for some are put
/// together, and the engine's, which cannot be asked here, from its sources.
fn printed() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in answer().lines() {
        let Some(family) = line.strip_prefix("# TYPE ") else { continue };
        let (name, kind) = family.split_once(' ').unwrap();
        let parts: &[&str] =
            if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        names.extend(parts.iter().map(|part| format!("{name}{part}")));
    }
    for source in sources() {
        names.extend(words(&source).filter(|w| w.starts_with("sentrypeer_")).map(str::to_owned));
    }
    names
}

/// The metrics of ours that an expression names.
fn named(expression: &str) -> impl Iterator<Item = &str> {
    let apart = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    apart.filter(|word| word.starts_with("sentrypeer_"))
}

/// The words that labels are compared with, but for those that Grafana fills in.
fn label_words(expression: &str) -> impl Iterator<Item = &str> {
    let values = expression.split('"').skip(1).step_by(2);
    values.filter(|value| !value.contains(['/', '$', '*'])).flat_map(|value| value.split('|'))
}

/// The values of every `expr` in a JSON document.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| expressions(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

fn of_dashboard() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&read("packaging/grafana/sentrypeer.json")).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() > 40, "{}", found.len());
    found
}

/// The lines of the rules that are expressions, or parts of one.
fn of_rules() -> Vec<String> {
    let is_text = |line: &&str| {
        ["summary:", "description:", "- alert:", "#"].iter().any(|b| line.trim().starts_with(b))
    };
    read(RULES).lines().filter(|line| !is_text(line)).map(str::to_owned).collect()
}

#[test]
fn every_metric_that_the_dashboard_and_the_rules_name_is_printed() {
    let printed = printed();
    let all = [of_dashboard(), of_rules()].concat();
    let named: BTreeSet<&str> = all.iter().flat_map(|expression| named(expression)).collect();
    assert!(named.len() > 40, "{named:?}");
    let unknown: Vec<_> = named.iter().filter(|name| !printed.contains(**name)).collect();
    assert!(unknown.is_empty(), "nobody prints {unknown:?}");
}

#[test]
fn every_word_that_a_label_is_compared_with_is_one_that_the_crates_have() {
    let (sources, answer) = (sources(), answer());
    let all = [of_dashboard(), of_rules()].concat();
    let compared: BTreeSet<&str> = all.iter().flat_map(|text| label_words(text)).collect();
    assert!(compared.contains("degraded"), "{compared:?}");
    for word in compared.into_iter().filter(|word| *word != "sentrypeer.") {
        let is_known = answer.contains(&format!("\"{word}\""))
            || sources.iter().any(|source| words(source).any(|known| known == word));
        assert!(is_known, "no label has the value {word}");
    }
}

#[test]
fn every_rule_has_a_test_that_fires_it_and_one_that_does_not() {
    let (rules, tests) = (read(RULES), read(RULES_TEST));
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let mut number = 0;
    for alert in alerts {
        for case in [format!("- name: {alert} fires\n"), format!("- name: {alert} does not\n")] {
            assert!(tests.contains(&case), "there is no {case}");
        }
        number += 1;
    }
    assert!(number > 20, "{number}");
}

/// What `promtool` says and whether it is content; `None` where there is none.
fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let child = Command::new("promtool")
        .args(arguments)
        .current_dir(root().join("packaging/prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: no promtool (Debian: prometheus)");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    for arguments in
        [["check", "rules", "sentrypeer.rules.yml"], ["test", "rules", "sentrypeer.rules.test.yml"]]
    {
        let Some((is_content, said)) = promtool(&arguments, "") else { return };
        assert!(is_content, "{said}");
    }
}

#[test]
fn promtool_can_read_every_expression_of_the_dashboard() {
    // It reads expressions in rules only, and of Grafana's variables it knows nothing.
    let rules = of_dashboard().into_iter().enumerate().map(|(n, expression)| {
        let plain = expression.replace("$__rate_interval", "5m").replace("$instance", ".*");
        format!("  - {{record: 'dashboard:{n}', expr: '{}'}}\n", plain.replace('\'', "''"))
    });
    let rules: String = rules.collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dashboard.yml");
    std::fs::write(&path, format!("groups:\n- name: dashboard\n  rules:\n{rules}")).unwrap();
    let Some((is_content, said)) = promtool(&["check", "rules", path.to_str().unwrap()], "") else {
        return;
    };
    assert!(is_content, "{said}");
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics() {
    let Some((is_content, said)) = promtool(&["check", "metrics"], &answer()) else { return };
    assert!(is_content && said.is_empty(), "{said}");
}
