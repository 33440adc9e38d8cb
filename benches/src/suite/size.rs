//! How large the program is and how fast it starts.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{Bench, Found};
use crate::figure::Figure;
use crate::machine;
use crate::node::Node;
use crate::table::{Goal, Row};

/// How long a node has nothing to do before its memory is told.
const IDLE: Duration = Duration::from_secs(3);
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a node that starts is asked whether it is there.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// Binaries, memory and start.
///
/// # Errors
///
/// If the program cannot be started.
pub fn measure(bench: &Bench) -> io::Result<Found> {
    let mut found = Found::default();
    let megabytes = |path: &Path| fs::metadata(path).map(|it| it.len() as f64 / 1e6);
    let full = megabytes(&bench.program("sentrypeer"))?;
    found
        .rows
        .push(Row::new("size", "binary, full", "MB", Figure::once(full)).wanted(Goal::AtMost(8.0)));
    if let Ok(small) = megabytes(&bench.program("sentrypeer-small")) {
        let row = Row::new("size", "binary, small", "MB", Figure::once(small));
        found.rows.push(row.wanted(Goal::AtMost(3.0)));
    }
    let (mut idle, mut starts) = (Vec::new(), Vec::new());
    for _ in 0..bench.repeats {
        let mut node = Node::start(&bench.place, &["-r"])?;
        thread::sleep(IDLE);
        idle.push(machine::resident_bytes(node.process.pid())? as f64 / 1e6);
        node.process.stop()?;
        starts.push(first_answer(bench)?.as_secs_f64() * 1_000.0);
    }
    for (what, unit, times, goal) in [
        ("idle, resident", "MB", idle, 20.0),
        ("start to the first answer over UDP", "ms", starts, 30.0),
    ] {
        if let Some(figure) = Figure::of(&times) {
            found.rows.push(Row::new("size", what, unit, figure).wanted(Goal::AtMost(goal)));
        }
    }
    Ok(found)
}

/// How long it takes from the start of the process until a request is answered.
fn first_answer(bench: &Bench) -> io::Result<Duration> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let port = socket.local_addr()?.port();
    socket.set_read_timeout(Some(ASK_EVERY))?;
    let begin = Instant::now();
    let mut node = Node::launch(&bench.place, &["-r"])?;
    let mut answer = [0; 2_048];
    while begin.elapsed() < PATIENCE {
        let sip = node.sip;
        let ask = format!(
            "OPTIONS sip:a@127.0.0.1:{sip} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};rport;\
             branch=z9hG4bKstart\r\nFrom: <sip:a@127.0.0.1>;tag=a\r\nTo: <sip:a@127.0.0.1>\r\n\
             Call-ID: start\r\nCSeq: 1 OPTIONS\r\nX-Room: {:400}\r\nContent-Length: 0\r\n\r\n",
            ""
        );
        // Nobody listens yet at first.
        let _ = socket.send_to(ask.as_bytes(), ("127.0.0.1", sip));
        if socket.recv_from(&mut answer).is_ok() {
            let took = begin.elapsed();
            node.process.stop()?;
            return Ok(took);
        }
    }
    Err(io::Error::other("the program answers nothing"))
}
