//! What the scripts call, each once and short: they must run to their end and find what is there. They
//! need the program, which the tests of the whole workspace build beside them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// One at a time: each loads the machine, and is held to what it loads it with.
static MACHINE: Mutex<()> = Mutex::new(());

/// The folder of the built programs, if the product is among them.
fn programs() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_BIN_EXE_bench")).parent().unwrap();
    let is_there = folder.join("sentrypeer").exists();
    if !is_there {
        eprintln!("SKIPPED: the program is not built beside this; test the whole workspace");
    }
    is_there.then(|| folder.to_owned())
}

fn has(tool: &str) -> bool {
    let found = Command::new("which").arg(tool).output().is_ok_and(|which| which.status.success());
    if !found {
        eprintln!("SKIPPED: {tool} is not there");
    }
    found
}

fn run(program: &str, programs: &Path, out: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .arg("--programs")
        .arg(programs)
        .arg("--out")
        .arg(out)
        .args(arguments)
        .output()
        .unwrap()
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn the_bench_measures_beside_its_limits_and_keeps_the_table() {
    let Some(programs) = programs().filter(|_| has("curl")) else { return };
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let short = ["streams", "--repeats=1", "--seconds=0.3", "--drivers=poll", "--folder", folder];
    let output = run(env!("CARGO_BIN_EXE_bench"), &programs, out.path(), &short);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = json(&out.path().join("bench.json"));
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "messages and connections, plain and over TLS");
    for row in rows {
        assert!(row["figure"]["median"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["limit"]["name"], "bare echo");
        assert!(row["limit"]["ratio"]["median"].as_f64().unwrap() > 0.0, "{row}");
    }
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("TLS, handshakes with a message each, poll"), "{printed}");
    assert!(out.path().join("bench.md").exists());
}

#[test]
fn the_soak_goes_through_every_mishap_and_finds_nothing_wrong() {
    let Some(programs) = programs().filter(|_| has("curl")) else { return };
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let out = tempfile::tempdir().unwrap();
    let short = ["--minutes=0", "--round-seconds=3", "--pps=500"];
    let output = run(env!("CARGO_BIN_EXE_soak"), &programs, out.path(), &short);
    let printed = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{printed}");
    let report = json(&out.path().join("soak.json"));
    assert_eq!(report["counts"]["rounds"], 10);
    assert!(report["counts"]["stored"].as_f64().unwrap() > 1_000.0, "{report}");
    assert!(report["counts"]["hostile"].as_f64().unwrap() > 100.0, "{report}");
    assert!(out.path().join("memory.svg").exists());
}

#[test]
fn the_load_test_holds_what_sipp_says_against_what_is_stored() {
    let Some(programs) = programs().filter(|_| has("curl") && has("sipp") && has("socat")) else {
        return;
    };
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let out = tempfile::tempdir().unwrap();
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let short = ["--seconds=1", "--tenths=1", "--scenarios", scenarios.to_str().unwrap()];
    let output = run(env!("CARGO_BIN_EXE_load-test"), &programs, out.path(), &short);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    let rows = json(&out.path().join("load-test.json"));
    for row in rows.as_array().unwrap() {
        assert_eq!(row["good"], row["calls"], "{row}");
        assert!(row["stored"].as_f64() >= row["messages"].as_f64(), "{row}");
    }
}
