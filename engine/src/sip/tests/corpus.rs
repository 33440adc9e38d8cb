//! The shared corpus.
use std::path::PathBuf;

use crate::sip;
fn folder() -> Option<PathBuf> {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut candidates: Vec<PathBuf> =
        std::env::var_os("SENTRYPEER_CORPUS").map(PathBuf::from).into_iter().collect();
    candidates.extend(["../../shared/corpus", "../../../shared/corpus"].map(|p| manifest.join(p)));
    let found = candidates.into_iter().find(|path| path.join("manifest.json").is_file());
    if found.is_none() {
        eprintln!("SKIPPED: no shared corpus");
    }
    found
}
#[test]
fn the_corpus_reads_as_its_manifest_says() {
    let Some(folder) = folder() else { return };
    let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
    let manifest: Vec<serde_json::Value> = serde_json::from_slice(&manifest).unwrap();
    let latin = |b: &[u8]| b.iter().map(|b| char::from(*b)).collect::<String>();
    let text = |b: Option<&[u8]>| b.map_or(serde_json::Value::Null, |b| latin(b).into());
    let mut wrong = Vec::new();
    for entry in &manifest {
        let file = entry["file"].as_str().unwrap();
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let m = sip::parse(&bytes);
        let none = |b: &'static str| if b.is_empty() { None } else { Some(b) };
        let _ = none;
        let nonempty = |b: &[u8]| if b.is_empty() { None } else { Some(b.to_vec()) };
        let got = serde_json::json!({
            "method": text(nonempty(m.method()).as_deref()),
            "status": m.status(),
            "ruri_user": text(m.request_user()),
            "call_id": text(m.call_id()),
            "from_user": text(m.from_user()),
            "to_user": text(m.to_user()),
            "cseq": m.cseq().number,
            "cseq_method": text(nonempty(m.cseq().method).as_deref()),
            "via_host": text(m.via_host()),
            "contact_user": text(m.contact_user()),
            "user_agent": text(m.user_agent()),
            "content_length": m.content_length(),
        });
        for (key, value) in got.as_object().unwrap() {
            if entry[key] != *value {
                wrong.push(format!("{file} {key}: want {} got {value}", entry[key]));
            }
        }
        let all = m.all_anomalies();
        eprintln!(
            "{file} {} {:?} obs {:?} inv {:?}",
            entry["verdict"],
            m.kind(),
            sip::Anomalies { observed: all.observed, invalid: 0 }.iter().collect::<Vec<_>>(),
            sip::Anomalies { observed: 0, invalid: all.invalid }.iter().collect::<Vec<_>>()
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
