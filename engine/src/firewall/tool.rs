//! Runs `ipset` and `nft`.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};
use std::thread;

use super::{FirewallError, Tool};

impl Tool {
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Ipset => "ipset",
            Self::Nft => "nft",
        }
    }
}

/// Makes sure that the program is installed.
pub(super) fn is_there(tool: Tool) -> Result<(), FirewallError> {
    run(tool, &["--version"], "").map(drop)
}

/// Loads a document.
pub(super) fn load(tool: Tool, document: &str) -> Result<(), FirewallError> {
    let arguments: &[&str] = match tool {
        Tool::Ipset => &["restore"],
        Tool::Nft => &["-f", "-"],
    };
    run(tool, arguments, document).map(drop)
}

/// What it prints, if it succeeds.
pub(super) fn run(tool: Tool, arguments: &[&str], input: &str) -> Result<String, FirewallError> {
    let failed = |why: String| FirewallError::Tool { tool: tool.program(), why };
    let output = output(tool, arguments, input).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed("it is not installed, or not found in PATH".to_owned()),
        _ => failed(error.to_string()),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().next().unwrap_or("it says nothing");
        return Err(failed(format!("{} ({})", first.trim_end(), output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("it prints no text".to_owned()))
}

/// Whether the tool says that there is no such set.
pub(super) fn is_absence(error: &FirewallError) -> bool {
    let FirewallError::Tool { why, .. } = error else { return false };
    // ipset has words of its own; nft has those of the system.
    ["does not exist", "No such file or directory"].iter().any(|words| why.contains(words))
}

fn output(tool: Tool, arguments: &[&str], input: &str) -> io::Result<Output> {
    let mut child = Command::new(tool.program())
        .args(arguments)
        // What it says is looked at.
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take();
    thread::scope(|scope| {
        // It may print before it has read everything.
        scope.spawn(move || {
            // A tool that reads no more says why itself.
            let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
        });
        child.wait_with_output()
    })
}
