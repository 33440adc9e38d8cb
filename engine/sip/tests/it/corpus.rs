//! The shared corpus: every file, every field that its manifest names, every verdict.

use std::path::{Path, PathBuf};

use serde_json::Value;

use sentrypeer_sip::{Message, parse};

/// Where the corpus is: beside the project, or where `SENTRYPEER_CORPUS` says.
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("SENTRYPEER_CORPUS").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut candidates =
        named.into_iter().chain(above.map(|folder| folder.join("../shared/corpus")));
    let found = candidates.find(|folder| folder.join("manifest.json").is_file());
    if found.is_none() {
        eprintln!("SKIPPED: the shared corpus is not there; set SENTRYPEER_CORPUS to its folder");
    }
    found
}

fn entries() -> Vec<(Value, Vec<u8>)> {
    let Some(folder) = folder() else {
        return Vec::new();
    };
    let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let read = |entry: Value| {
        let bytes = std::fs::read(folder.join(entry["file"].as_str().unwrap())).unwrap();
        assert_eq!(entry["bytes"], bytes.len());
        (entry, bytes)
    };
    entries.into_iter().map(read).collect()
}

/// What the manifest calls the fields. A method that is empty is absent there.
fn fields(m: &Message<'_>) -> Value {
    let text = |bytes: Option<&[u8]>| {
        bytes.map(|bytes| bytes.iter().map(|byte| char::from(*byte)).collect::<String>())
    };
    let filled = |bytes: &'_ [u8]| text(Some(bytes)).filter(|text| !text.is_empty());
    serde_json::json!({
        "method": filled(m.method()),
        "status": m.status(),
        "ruri_user": text(m.request_user()),
        "call_id": text(m.call_id()),
        "from_user": text(m.from_user()),
        "to_user": text(m.to_user()),
        "cseq": m.cseq().number,
        "cseq_method": filled(m.cseq().method),
        "via_host": text(m.via_host()),
        "contact_user": text(m.contact_user()),
        "user_agent": text(m.user_agent()),
        "content_length": m.content_length(),
    })
}

#[test]
fn every_field_of_the_corpus_reads_as_its_manifest_says() {
    for (entry, bytes) in entries() {
        for (name, value) in fields(&parse(&bytes)).as_object().unwrap() {
            assert_eq!(entry[name], *value, "{name} of {}", entry["file"]);
        }
    }
}

#[test]
fn what_the_standards_call_invalid_is_called_so_and_what_they_call_valid_is_not() {
    for (entry, bytes) in entries() {
        let found = parse(&bytes).all_anomalies();
        let names: Vec<&str> = found.iter().map(sentrypeer_sip::Anomaly::name).collect();
        let file = entry["file"].as_str().unwrap();
        match entry["verdict"].as_str().unwrap() {
            "valid" => assert_eq!(found.invalid, 0, "{file}: {names:?}"),
            // Nothing at all breaks no rule: there is no message.
            "invalid" if bytes.is_empty() => assert_eq!(names, ["empty"]),
            "invalid" => assert_ne!(found.invalid, 0, "{file}: {names:?}"),
            _ => {}
        }
    }
}

#[test]
fn a_slow_reader_reads_the_corpus_the_same() {
    for (entry, bytes) in entries() {
        assert_eq!(super::slow::of(&parse(&bytes)), super::slow::read(&bytes), "{}", entry["file"]);
    }
}
