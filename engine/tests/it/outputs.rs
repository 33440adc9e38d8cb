//! Every output of a running node, as its receiver sees it.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::fleet::Fleet;
use crate::harness::{
    DRIVERS, Node, PATIENCE, await_that, exchange, plan, plan_in, program, request,
};

/// What SentryPeer 4.x writes, in its order.
const MEMBERS: [&str; 13] = [
    "app_name",
    "app_version",
    "event_timestamp",
    "event_uuid",
    "created_by_node_id",
    "collected_method",
    "transport_type",
    "source_ip",
    "destination_ip",
    "called_number",
    "sip_method",
    "sip_user_agent",
    "sip_message",
];

fn probe(node: &Node, call: &str) {
    let bytes = request("INVITE", "0046500729221", call, "UDP");
    exchange(node.udp.unwrap(), bytes.as_bytes());
}

/// The ids of all events in the log, as the program exports them.
fn recorded(database: &Path) -> Vec<String> {
    let export = program(database).args(["export", "events", "--format=json"]).output().unwrap();
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    String::from_utf8(export.stdout).unwrap().lines().map(id_of).collect()
}

fn id_of(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    value["event_uuid"].as_str().unwrap().to_owned()
}

/// The ids in a JSON log, each line of which must be whole.
fn logged(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "a torn line in {}", path.display());
    text.lines().map(id_of).collect()
}

/// Each expected id is there at least once, and no other.
fn assert_all(expected: &[String], found: &[String], what: &str) {
    let mut times: HashMap<&str, usize> = HashMap::new();
    found.iter().for_each(|id| *times.entry(id).or_default() += 1);
    let missing = expected.iter().filter(|id| !times.contains_key(id.as_str())).count();
    assert_eq!(missing, 0, "{what}: {missing} of {} are missing", expected.len());
    assert_eq!(times.len(), expected.len(), "{what}: there are events that were never recorded");
}

/// Head and body of a request.
type Post = (String, Vec<u8>);

/// Takes what is posted to it, and keeps the bodies.
struct Receiver {
    url: String,
    bodies: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || while take_post(&stream, &kept).is_some() {});
            }
        });
        Self { url, bodies }
    }

    fn ids(&self) -> Vec<String> {
        let bodies = self.bodies.lock().unwrap();
        let texts = bodies.iter().map(|(_, body)| String::from_utf8(body.clone()).unwrap());
        texts.flat_map(|text| text.lines().map(id_of).collect::<Vec<_>>()).collect()
    }
}

/// One request of a connection, answered with 204; its head and its body are kept.
fn take_post(mut stream: &TcpStream, kept: &Mutex<Vec<Post>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap()];
    reader.read_exact(&mut body).ok()?;
    kept.lock().unwrap().push((head, body));
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()
}

/// How each output is doing, by `sentrypeer outputs --json`.
fn outputs(database: &Path, words: &[&str]) -> Value {
    let output = program(database).arg("outputs").args(words).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_probe_is_in_the_json_log_in_the_form_of_4_x() {
    for driver in DRIVERS {
        let plan = plan(&[&format!("--driver={driver}"), "-j"]);
        let path = plan.folder.path().join("log.json");
        let mut command = plan.command();
        command.arg("-l").arg(&path);
        let node = plan.start_as(command);
        probe(&node, "logged");
        await_that(|| logged(&path).len() == 1, "the line");
        let line = fs::read_to_string(&path).unwrap();
        let places: Vec<usize> =
            MEMBERS.iter().map(|member| line.find(&format!("\"{member}\":\"")).unwrap()).collect();
        assert!(places.is_sorted(), "{line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(value.as_object().unwrap().values().all(Value::is_string), "{line}");
        for (member, expected) in [
            ("app_name", "sentrypeer"),
            ("collected_method", "responsive"),
            ("transport_type", "UDP"),
            ("source_ip", "127.0.0.1"),
            ("called_number", "0046500729221"),
            ("sip_method", "INVITE"),
            ("sip_user_agent", "harness"),
        ] {
            assert_eq!(value[member], expected);
        }
        assert_eq!(value["event_timestamp"].as_str().unwrap().len(), 29);
        assert_eq!(value["created_by_node_id"], node.json("/api/v1/status")["node_id"]);
        let event = node.json(&format!("/api/v1/events/{}", id_of(&line)));
        assert_eq!(event["number"], "0046500729221", "{event}");
    }
}

#[test]
fn a_log_that_was_moved_is_made_again_at_the_latest_by_sighup() {
    let plan = plan(&["-j"]);
    let folder = plan.folder.path().to_owned();
    let (path, moved) = (folder.join("log.json"), folder.join("log.json.1"));
    let mut command = plan.command();
    command.arg("-l").arg(&path);
    let mut node = plan.start_as(command);
    probe(&node, "before");
    await_that(|| logged(&path).len() == 1, "the first line");
    fs::rename(&path, &moved).unwrap();
    node.signal(Signal::SIGHUP);
    node.await_line("the configuration was read again");
    probe(&node, "after");
    await_that(|| logged(&path).len() == 1, "the second line");
    assert_eq!(logged(&moved).len(), 1);
}

#[test]
fn a_probe_is_in_syslog_and_what_is_allowed_is_not() {
    let plan = plan(&["-s"]);
    let socket = plan.folder.path().join("log.sock");
    let daemon = UnixDatagram::bind(&socket).unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = plan.command();
    command.arg("--syslog-address").arg(&socket);
    let node = plan.start_as(command);
    let hostile = request("OPTIONS", "100", "sys", "UDP").replace("harness", "x\u{1b}[2J\u{2028}y");
    exchange(node.udp.unwrap(), hostile.as_bytes());
    let mut buffer = [0; 4_096];
    let length = daemon.recv(&mut buffer).unwrap();
    let line = String::from_utf8(buffer[..length].to_vec()).unwrap();
    assert!(line.starts_with("<13>"), "{line}");
    assert!(line.contains(&format!(" sentrypeer[{}]: ", node.child.id())), "{line}");
    assert!(line.ends_with("Source IP: 127.0.0.1, Method: OPTIONS, Agent: x?[2J?y"), "{line}");
    drop(node);

    let plan = crate::harness::plan(&["-s", "--allow=127.0.0.0/8"]);
    let mut command = plan.command();
    command.arg("--syslog-address").arg(&socket);
    let node = plan.start_as(command);
    probe(&node, "allowed");
    let passed_over =
        || outputs(&node.database(), &[])["outputs"][0]["filtered"].as_u64() == Some(1);
    await_that(passed_over, "the event to be passed over");
    daemon.set_nonblocking(true).unwrap();
    assert!(daemon.recv(&mut buffer).is_err(), "what is allowed is in syslog");
}

#[test]
fn a_probe_is_posted_as_4_x_does_and_each_webhook_has_its_own_filter() {
    let (all, tcp) = (Receiver::new(), Receiver::new());
    let plan = plan(&["-w", &all.url]);
    let config = plan.folder.path().join("c.toml");
    let text =
        format!("[webhooks.tcp]\nurl = '{}'\ntransports = ['TCP']\nform = 'lines'\n", tcp.url);
    fs::write(&config, text).unwrap();
    let mut command = plan.command();
    command.arg("--config").arg(&config);
    let node = plan.start_as(command);
    probe(&node, "posted");
    let mut stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
    stream.write_all(request("INVITE", "+4670", "posted too", "TCP").as_bytes()).unwrap();
    await_that(|| all.ids().len() == 2 && tcp.ids().len() == 1, "both posts");
    let (head, body) = all.bodies.lock().unwrap()[0].clone();
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: application/json\r\n"), "{head}");
    let value: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(value["sip_method"], "INVITE");
    let listed = outputs(&node.database(), &["list"]);
    let names: Vec<&Value> =
        listed["outputs"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["webhook", "webhook.tcp"]);
    assert!(!listed.to_string().contains("/hook"), "a path may be a secret: {listed}");
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "this build has no SQLite")]
fn a_probe_is_in_the_table_of_4_x() {
    let plan = plan(&[]);
    let path = plan.folder.path().join("sentrypeer.db");
    let mut command = plan.command();
    command.arg("--sqlite").arg(&path);
    let node = plan.start_as(command);
    probe(&node, "row");
    let row = || {
        let file = rusqlite::Connection::open_with_flags(
            &path,
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        )?;
        let text = "SELECT event_uuid, source_ip, called_number, method FROM honey";
        file.query_row(text, [], |row| {
            let column = |n| row.get::<_, String>(n);
            Ok([column(0)?, column(1)?, column(2)?, column(3)?])
        })
    };
    await_that(|| row().is_ok(), "the row");
    let [id, source, number, method] = row().unwrap();
    assert_eq!([&*source, &*number, &*method], ["127.0.0.1", "0046500729221", "INVITE"]);
    assert_eq!(recorded(&node.database()), [id]);
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "this build has no SQLite")]
fn after_kill_9_in_the_middle_every_output_has_every_event() {
    let receiver = Receiver::new();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let socket = folder.path().join("log.sock");
    let daemon = UnixDatagram::bind(&socket).unwrap();
    let heard = Arc::new(Mutex::new(0_usize));
    let counted = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while daemon.recv(&mut buffer).is_ok() {
            *counted.lock().unwrap() += 1;
        }
    });
    let (log, table) = (folder.path().join("log.json"), folder.path().join("s.db"));
    let fleet = Fleet::start().filter(|_| cfg!(feature = "nats"));
    let stream = fleet.as_ref().map(Fleet::listen);
    let flags = [
        "-js".to_owned(),
        format!("-l{}", log.display()),
        format!("--syslog-address={}", socket.display()),
        format!("-w{}", receiver.url),
        format!("--sqlite={}", table.display()),
        format!("--nats={}", fleet.as_ref().map_or("", |fleet| &fleet.url)),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut sent = 0;
    for round in 0..3 {
        let before = logged_lines(&log);
        let mut node = plan_in(&folder, &flags).start();
        let mut stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
        for call in 0..400 {
            let text = request("OPTIONS", "100", &format!("kill-{round}-{call}"), "TCP");
            stream.write_all(text.as_bytes()).unwrap();
            sent += 1;
        }
        // Some are handed on, and some are not.
        await_that(|| logged_lines(&log) > before, "the first lines of the round");
        node.child.kill().unwrap();
        node.wait();
    }
    let node = plan_in(&folder, &flags).start();
    let database = node.database();
    let caught_up = || {
        let now = outputs(&database, &[]);
        let all = now["outputs"].as_array().unwrap();
        assert_eq!(all.len(), if fleet.is_some() { 5 } else { 4 });
        all.iter().all(|one| one["lag_events"] == 0 && one["state"] == "running")
    };
    await_that(caught_up, "the outputs");
    let expected = recorded(&database);
    assert!(!expected.is_empty() && expected.len() <= sent);
    assert_all(&expected, &logged(&log), "JSON log");
    assert_all(&expected, &receiver.ids(), "webhook");
    assert!(*heard.lock().unwrap() >= expected.len(), "syslog");
    if let (Some(fleet), Some(stream)) = (&fleet, &stream) {
        assert_eq!(fleet.stored(), expected.len() as u64, "the stream: once each");
        let id = |(_, event): &(String, Value)| event["event_uuid"].as_str().unwrap().to_owned();
        let ids = || stream.lock().unwrap().iter().map(id).collect::<Vec<_>>();
        await_that(|| ids().len() >= expected.len(), "the copies");
        assert_all(&expected, &ids(), "the stream");
    }
    let file = rusqlite::Connection::open(&table).unwrap();
    let mut ids = file.prepare("SELECT event_uuid FROM honey").unwrap();
    let rows: Vec<String> =
        ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), expected.len(), "SQLite: once each");
    assert_all(&expected, &rows, "SQLite");
}

/// Whole lines so far; the last may be being written.
fn logged_lines(path: &Path) -> usize {
    fs::read(path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn an_output_is_paused_resumed_and_reset_over_the_control_socket() {
    let plan = plan(&["-j"]);
    let path = plan.folder.path().join("log.json");
    let mut command = plan.command();
    command.arg("-l").arg(&path);
    let node = plan.start_as(command);
    let database = node.database();
    probe(&node, "one");
    await_that(|| logged(&path).len() == 1, "the line");
    outputs(&database, &["pause", "json-log"]);
    let state = || outputs(&database, &[])["outputs"][0]["state"].as_str().unwrap().to_owned();
    await_that(|| state() == "paused", "the pause");
    assert_eq!(node.metric("sentrypeer_output_up"), 0);
    probe(&node, "two");
    node.await_events(2);
    await_that(|| node.metric("sentrypeer_output_lag_events") == 1, "the lag");
    assert_eq!(node.json("/api/v1/status")["outputs"][0]["lag_events"], 1);
    let health = program(&database).arg("healthcheck").output().unwrap();
    assert!(health.status.success(), "a paused output makes no node ill");
    let mut asked = TcpStream::connect(node.api.unwrap()).unwrap();
    let head = "GET /health-check HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n";
    asked.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    asked.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains(r#""status": "OK""#) && answer.contains(r#""state": "paused""#),
        "{answer}"
    );
    assert_eq!(logged(&path).len(), 1);
    outputs(&database, &["resume", "json-log"]);
    await_that(|| logged(&path).len() == 2, "the second line");
    outputs(&database, &["reset", "json-log"]);
    await_that(|| logged(&path).len() == 4, "both again");
    let table = program(&database).arg("outputs").output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("NAME") && table.contains(&path.display().to_string()), "{table}");
    let unknown = program(&database).args(["outputs", "pause", "x"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("there is no output \"x\"; this node has: json-log"), "{said}");
}

#[test]
fn tail_shows_events_as_they_come() {
    let node = plan(&[]).start();
    probe(&node, "before");
    node.await_events(1);
    for (words, expected) in [
        (["tail"].as_slice(), "UDP 127.0.0.1:"),
        (&["tail", "--json"], "\"called_number\":\"0046500729221\""),
    ] {
        let mut command = program(&node.database());
        let mut tail = command.args(words).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(tail.stdout.take().unwrap());
        // Only what comes after its start is shown, so something has to come until it is there.
        let mut line = String::new();
        let asked = node.metric("sentrypeer_orders_done_total{order=\"events\"}");
        await_that(
            || node.metric("sentrypeer_orders_done_total{order=\"events\"}") > asked,
            "the first question",
        );
        probe(&node, "tailed");
        lines.read_line(&mut line).unwrap();
        assert!(line.contains(expected) && !line.contains("before"), "{line}");
        assert!(!line.contains('\u{1b}'), "colours outside of a terminal: {line:?}");
        tail.kill().unwrap();
        tail.wait().unwrap();
    }
}

#[test]
fn a_receiver_that_is_away_holds_up_neither_the_node_nor_its_end() {
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let node = plan(&["-w", &format!("http://{closed}/")]).start();
    let folder = node.folder.clone();
    probe(&node, "away");
    await_that(|| node.metric("sentrypeer_output_failures_total") > 0, "the failure");
    let status = outputs(&node.database(), &[])["outputs"][0].clone();
    assert!(status["last_error"]["text"].as_str().unwrap().contains(&closed.to_string()));
    // A stop that takes too long is none that succeeds.
    assert!(node.stop().success());
    // It comes when somebody listens again.
    let receiver = Receiver::new();
    let node = plan_in(&folder, &["-w", &receiver.url]).start();
    await_that(|| receiver.ids().len() == 1, "the event");
    assert_all(&recorded(&node.database()), &receiver.ids(), "webhook");
}

#[test]
fn an_output_that_cannot_work_ends_the_start_and_is_named() {
    let url = "https://user:hunter2@hook.example/hunter2";
    let (status, said) = plan(&["-w", url, "--webhook-ca-file=/nonexistent/ca.pem"]).run_to_end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("output \"webhook\"") && said.contains("/nonexistent/ca.pem"), "{said}");
    let token = ["-w", url, "-i", "i", "-c", "hunter2", "--oauth2-token-url=http://t.example"];
    let (status, said) = plan(&token).run_to_end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("must be https") && !said.contains("hunter2"), "{said}");
}

#[test]
#[cfg_attr(not(feature = "nats"), ignore = "this build has no NATS")]
fn a_probe_is_in_the_stream_of_a_fleet() {
    let Some(fleet) = Fleet::start() else { return };
    let heard = fleet.listen();
    let node = plan(&["--nats", &fleet.url]).start();
    probe(&node, "fleet");
    await_that(|| fleet.stored() == 1, "the message");
    await_that(|| heard.lock().unwrap().len() == 1, "its copy");
    let (subject, event) = heard.lock().unwrap()[0].clone();
    assert_eq!(subject, "sentrypeer.events.invite");
    assert_eq!(event["called_number"], "0046500729221");
    assert_eq!(recorded(&node.database()), [event["event_uuid"].as_str().unwrap()]);
    let status = outputs(&node.database(), &[])["outputs"][0].clone();
    assert_eq!((&status["name"], &status["kind"]), (&"nats".into(), &"nats".into()));
}

#[test]
#[cfg_attr(feature = "nats", ignore = "this build has NATS")]
fn a_build_without_nats_says_so() {
    let (status, said) = plan(&["--nats=nats://127.0.0.1:1"]).run_to_end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("output \"nats\": --nats: this program was built without NATS"),
        "{said}"
    );
}

/// As T-Pot runs it: no root, a file system that cannot be written but for its own folder, the short flags.
#[test]
fn as_t_pot_runs_it_the_log_is_there_and_parses() {
    const NOBODY: &str = "65534";
    let plan = plan(&["-jar"]);
    let folder = plan.folder.path().to_owned();
    let path = folder.join("sentrypeer.json");
    let own = Command::new("chown").arg(NOBODY).arg(&folder).status();
    // All is read-only below, but for the folder.
    let script = format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro / && exec setpriv --reuid={NOBODY} \
         --regid={NOBODY} --clear-groups \"$@\"",
        folder.display()
    );
    let mut probe_command = Command::new("unshare");
    probe_command.args(["--mount", "sh", "-c", &script, "sh", "true"]);
    let works = own.is_ok_and(|status| status.success())
        && probe_command.output().is_ok_and(|done| done.status.success());
    if !works {
        eprintln!("SKIPPED: this test needs root, and mount namespaces");
        return;
    }
    let node_command = plan.command();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(node_command.get_program());
    command.args(node_command.get_args()).arg("-l").arg(&path);
    command.args(["--json-log-format=tpot"]).env("HOME", &folder);
    let node = plan.start_as(command);
    probe(&node, "t-pot");
    await_that(|| logged(&path).len() == 1, "the line");
    let value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let (address, port) = value["source_ip"].as_str().unwrap().split_once(':').unwrap();
    assert!(address == "127.0.0.1" && port.parse::<u16>().is_ok());
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(&path).unwrap().uid().to_string(), NOBODY);
}
