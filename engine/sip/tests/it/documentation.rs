//! What the documentation says of the anomalies is what the parser knows of them.

use std::fmt::Write as _;
use std::path::Path;

use sentrypeer_sip::Anomaly;

/// The table as `docs/anomalies.md` has it.
fn table() -> String {
    let mut table = String::from("| bit | name | meaning |\n|---|---|---|\n");
    for anomaly in Anomaly::ALL {
        let (bit, name, meaning) = (anomaly as u8, anomaly.name(), anomaly.meaning().trim());
        writeln!(table, "| {bit} | `{name}` | {meaning} |").unwrap();
    }
    table
}

#[test]
fn the_page_of_anomalies_has_each_with_its_bit_and_meaning() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/anomalies.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let table = table();
    assert!(text.contains(&table), "{} must hold this table:\n\n{table}", page.display());
}

#[test]
fn every_meaning_says_which_set_it_is_in() {
    for anomaly in Anomaly::ALL {
        let meaning = anomaly.meaning().to_lowercase();
        assert!(meaning.contains("observed") || meaning.contains("invalid"), "{anomaly}");
    }
}
