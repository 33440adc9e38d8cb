//! TCP and TLS: messages and handshakes a second, beside a bare loop on one thread that gives back what
//! it gets.

use std::io;

use super::{Bench, Found, number, tell};
use crate::figure::Figure;
use crate::node::{Node, free_port};
use crate::table::{Goal, Limit, Row};

/// What is measured: the name, whether over TLS, messages of a connection, messages at once, and
/// whether connections or messages are counted.
struct Load {
    name: &'static str,
    tls: bool,
    messages: u32,
    burst: u32,
    counted: &'static str,
    goal: Option<f64>,
}

const LOADS: [Load; 4] = [
    Load {
        name: "TCP, messages answered",
        tls: false,
        messages: 100_000,
        burst: 16,
        counted: "messages",
        goal: None,
    },
    Load {
        name: "TCP, connections with a message each",
        tls: false,
        messages: 1,
        burst: 1,
        counted: "connections",
        goal: None,
    },
    Load {
        name: "TLS, messages answered",
        tls: true,
        messages: 100_000,
        burst: 16,
        counted: "messages",
        goal: Some(0.8),
    },
    Load {
        name: "TLS, handshakes with a message each",
        tls: true,
        messages: 1,
        burst: 1,
        counted: "connections",
        goal: Some(0.8),
    },
];

/// Each load on the program and on the bare loop, in turn.
///
/// # Errors
///
/// If a program cannot be started, or does not do what it must.
pub fn measure(bench: &Bench) -> io::Result<Found> {
    let mut found = Found::default();
    for driver in &bench.drivers {
        for load in &LOADS {
            let (mut program, mut echo) = (Vec::new(), Vec::new());
            for _ in 0..bench.repeats {
                program.push(of_program(bench, driver, load)?);
                echo.push(of_echo(bench, load)?);
            }
            let Some(figure) = Figure::of(&program) else { continue };
            tell(format_args!("{}, {driver}: {}", load.name, figure.text()));
            let beside = Limit::of("bare echo", &program, &echo);
            let what = format!("{}, {driver}", load.name);
            let row = Row::new("streams", what, "/s", figure).beside(beside);
            found.rows.push(match load.goal {
                Some(goal) => row.wanted(Goal::RatioAtLeast(goal)),
                None => row,
            });
        }
    }
    Ok(found)
}

fn of_program(bench: &Bench, driver: &str, load: &Load) -> io::Result<f64> {
    let driver = format!("--driver={driver}");
    let mut node = Node::start(&bench.place, &["-r", "--shards=1", &driver])?;
    let port = if load.tls { node.sip + 1 } else { node.sip };
    let rate = connect(bench, port, load)?;
    node.process.stop()?;
    Ok(rate)
}

fn of_echo(bench: &Bench, load: &Load) -> io::Result<f64> {
    let port = free_port()?;
    let mut arguments =
        vec![format!("--listen=127.0.0.1:{port}"), format!("--core={}", bench.core)];
    arguments.extend(load.tls.then(|| "--tls".to_owned()));
    let listener = bench.listen("echo", &arguments)?;
    let rate = connect(bench, port, load)?;
    listener.end()?;
    Ok(rate)
}

/// What is counted, a second.
fn connect(bench: &Bench, port: u16, load: &Load) -> io::Result<f64> {
    let mut arguments = vec![
        format!("--target=127.0.0.1:{port}"),
        format!("--messages={}", load.messages),
        format!("--burst={}", load.burst),
        format!("--seconds={}", bench.seconds),
    ];
    arguments.extend(load.tls.then(|| "--tls".to_owned()));
    let said = bench.say("connect", &arguments)?;
    Ok(number(&said, load.counted)? / number(&said, "seconds")?)
}
