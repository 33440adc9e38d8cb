//! Which driver runs, and that io_uring is not needed.

use std::collections::BTreeMap;
use std::process::Command;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::harness::{DRIVERS, exchange, plan, request};

/// Starts `command` where the kernel refuses io_uring, as container runtimes make it.
fn forbid_io_uring(start: impl FnOnce() + Send) {
    let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> =
        [(libc::SYS_io_uring_setup, Vec::new())].into();
    let filter: BpfProgram = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        std::env::consts::ARCH.try_into().unwrap(),
    )
    .unwrap()
    .try_into()
    .unwrap();
    // The filter holds for the thread that sets it, and for what that thread starts.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            seccompiler::apply_filter(&filter).unwrap();
            start();
        });
    });
}

#[test]
fn each_driver_is_used_when_it_is_asked_for() {
    for driver in DRIVERS {
        let node = plan(&[&format!("--driver={driver}")]).start();
        assert_eq!(node.json("/api/v1/status")["driver"], driver);
    }
}

#[test]
fn where_io_uring_is_forbidden_the_node_says_so_and_runs_all_the_same() {
    forbid_io_uring(|| {
        let node = plan(&[]).start();
        let said = node.lines().join("\n");
        assert!(said.contains("the kernel refuses io_uring"), "{said}");
        assert_eq!(node.json("/api/v1/status")["driver"], "poll");
        let bytes = request("OPTIONS", "100", "seccomp", "UDP");
        assert!(exchange(node.udp.unwrap(), bytes.as_bytes()).starts_with(b"SIP/2.0 200"));
        node.await_events(1);
        assert!(node.stop().success());

        let (status, said) = plan(&["--driver=uring"]).run_to_end();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("--driver uring: the kernel refuses io_uring"), "{said}");
    });
}

#[test]
fn a_small_locked_memory_limit_falls_back_with_one_line() {
    let plan = plan(&[]);
    let command = plan.command();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -l 64; exec \"$0\" \"$@\""]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.env("HOME", plan.folder.path());
    let node = plan.start_as(limited);
    let said: Vec<String> =
        node.lines().into_iter().filter(|line| line.contains("io_uring")).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("65536 bytes") && said[0].contains("ulimit -l"), "{said:?}");
    assert_eq!(node.json("/api/v1/status")["driver"], "poll");
}
