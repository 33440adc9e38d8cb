//! The manual page, as the programs read it that show such pages.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{has, program};

fn page() -> Vec<u8> {
    let output = program(Path::new("/nonexistent/s.redb")).arg("man").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What a program prints that reads the page, and what it complains of.
fn read_by(program: &str, arguments: &[&str]) -> (String, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, page) = (child.stdin.take().unwrap(), page());
    let writer = std::thread::spawn(move || stdin.write_all(&page));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn groff_shows_the_page_and_warns_of_nothing() {
    if !has("groff") {
        return;
    }
    let (shown, said) = read_by("groff", &["-man", "-Tascii", "-ww", "-P-c", "-P-b", "-P-u"]);
    assert_eq!(said, "");
    for text in ["SENTRYPEER(1)", "-r, --responsive[=on|off]", "sentrypeer allow add", "SIGHUP"] {
        assert!(shown.contains(text), "{text:?} is not in:\n{shown}");
    }
}

#[test]
fn mandoc_finds_no_fault_in_the_page() {
    if !has("mandoc") {
        return;
    }
    // A page without a date is what we want: it does not change when nothing else does.
    let (found, said) = read_by("mandoc", &["-T", "lint", "-W", "warning"]);
    let faults: Vec<&str> = found.lines().filter(|line| !line.contains("missing date")).collect();
    assert!(faults.is_empty() && said.is_empty(), "{faults:?} {said}");
}
