//! What is under `packaging/`, held against the program and the tools that read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{has, program};

fn packaging(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(path)
}

#[test]
fn the_settings_of_the_service_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(&folder.path().join("s.redb"));
    command.arg("-g").arg(packaging("systemd/sentrypeer.toml")).arg("--check-config");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("sentrypeer.toml:"), "{said}");
}

#[test]
fn systemd_takes_the_unit_and_the_user_as_they_are() {
    if !has("systemd-analyze") || !has("systemd-sysusers") {
        return;
    }
    // The program is not where a package would put it.
    let unit = fs::read_to_string(packaging("systemd/sentrypeer.service")).unwrap();
    let installed = "ExecStart=/usr/bin/sentrypeer ";
    assert!(unit.contains(installed));
    let built = format!("ExecStart={} ", env!("CARGO_BIN_EXE_sentrypeer"));
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("sentrypeer.service");
    fs::write(&copy, unit.replace(installed, &built)).unwrap();
    let mut verify = Command::new("systemd-analyze");
    let verified = verify.args(["verify", "--man=no"]).arg(&copy).output().unwrap();
    let said = String::from_utf8(verified.stderr).unwrap();
    assert!(verified.status.success() && said.is_empty(), "{said}");
    let mut users = Command::new("systemd-sysusers");
    users.arg("--dry-run").arg(packaging("systemd/sysusers.conf").canonicalize().unwrap());
    let made = users.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
