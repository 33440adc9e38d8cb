//! A node that is killed in the middle, with every output on.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sentrypeer_export::json_log;
use sentrypeer_export::line::{Clock, Format};
use sentrypeer_export::output::{Receiver, Settings};
use sentrypeer_export::secret::Secret;
use sentrypeer_export::syslog::{self, Framing};
use sentrypeer_export::webhook::{self, Form};
use sentrypeer_storage::event::{Seq, Time};

use crate::harness::{Node, ids_in, repeats, settings, wait_for};
use crate::http_server::{Reply, Server};
use crate::syslog::{Lines, ids, read_counted};

/// Tells the child below where its outputs go.
const CHILD: &str = "SENTRYPEER_EXPORT_TEST_PLACES";

/// Where the outputs of a node go.
#[derive(Clone)]
struct Places {
    folder: PathBuf,
    syslog: String,
    web: String,
    /// Empty where there is no nats-server.
    fleet: String,
}

impl Places {
    fn text(&self) -> String {
        [self.folder.to_str().unwrap(), &self.syslog, &self.web, &self.fleet].join("\n")
    }

    fn read(text: &str) -> Self {
        let [folder, syslog, web, fleet] =
            text.split('\n').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
        Self { folder: folder.into(), syslog, web, fleet }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    #[cfg(feature = "sqlite")]
    fn table(&self) -> PathBuf {
        self.folder.join("honey.db")
    }

    fn outputs(&self) -> Vec<Settings> {
        let (path, format, clock) = (self.log(), Format::SentryPeer, Clock::Utc);
        let json_log = Receiver::JsonLog(json_log::Settings { path, format, clock });
        let (address, framing) = (self.syslog.clone(), Framing::OctetCounting);
        let syslog = Receiver::Syslog(syslog::Settings::Tcp { address, framing });
        let mut all = vec![
            settings("json-log", json_log),
            settings("syslog", syslog),
            settings("webhook", Receiver::Webhook(self.webhook())),
        ];
        all.extend(self.sqlite().map(|sqlite| settings("sqlite", sqlite)));
        all.extend(self.nats().map(|nats| settings("nats", nats)));
        all
    }

    fn webhook(&self) -> webhook::Settings {
        webhook::Settings {
            url: Secret::new(format!("http://{}/", self.web)),
            form: Form::Lines,
            events: 100,
            gzip: false,
            signing_secret: None,
            credentials: None,
            ca_file: None,
            dead_letters: self.folder.join("dead.json"),
        }
    }

    #[cfg(feature = "sqlite")]
    fn sqlite(&self) -> Option<Receiver> {
        Some(crate::sqlite::to(self.table()))
    }

    #[cfg(not(feature = "sqlite"))]
    fn sqlite(&self) -> Option<Receiver> {
        None
    }

    #[cfg(feature = "nats")]
    fn nats(&self) -> Option<Receiver> {
        (!self.fleet.is_empty()).then(|| Receiver::Nats(crate::nats::to(&self.fleet)))
    }

    #[cfg(not(feature = "nats"))]
    fn nats(&self) -> Option<Receiver> {
        None
    }
}

/// A process that ends with the test, whatever becomes of that.
struct Recorder(Child);

impl Recorder {
    fn start(places: &Places) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "killed::records_until_it_is_killed"]);
        Self(command.env(CHILD, places.text()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn syslog_daemon() -> (String, Lines) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, lines) = (listener.local_addr().unwrap().to_string(), Lines::default());
    let kept = lines.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            read_counted(stream.unwrap(), &kept, usize::MAX, Duration::ZERO);
        }
    });
    (address, lines)
}

#[test]
fn after_every_kill_every_receiver_has_every_event() {
    let folder = tempfile::tempdir().unwrap();
    let (syslog, lines) = syslog_daemon();
    let web = Server::start(|_, _| Reply::Status(204, ""));
    let fleet = fleet::Fleet::start();
    let places = Places {
        folder: folder.path().to_owned(),
        syslog,
        web: web.address.clone(),
        fleet: fleet.url(),
    };
    // Of what each receiver has, whatever the unit.
    let had = || {
        let log = places.log().metadata().map_or(0, |file| file.len());
        let (lines, posts) = (lines.lock().unwrap().len(), web.requests.lock().unwrap().len());
        [log, lines as u64, posts as u64, fleet.messages()]
    };
    for _ in 0..3 {
        let before = had();
        let _recorder = Recorder::start(&places);
        let has_more =
            |(now, before): (u64, u64)| now > before || (now == 0 && places.fleet.is_empty());
        wait_for("something of the round", || had().into_iter().zip(before).all(has_more));
    }
    let mut node = Node::at(folder);
    node.sent = node.ids().len() as u64;
    let outputs = node.start_all(places.outputs()).unwrap();
    node.record(1);
    let (sent, expected) = (Seq(node.sent), node.ids());
    wait_for("the outputs", || outputs.status(Time::now()).iter().all(|one| one.cursor >= sent));
    repeats(&expected, &ids_in(&places.log()));
    repeats(&expected, &ids(&lines));
    repeats(&expected, &web.ids());
    #[cfg(feature = "sqlite")]
    assert_eq!(repeats(&expected, &crate::sqlite::ids(&places.table())), 0, "SQLite: once each");
    fleet.has_each_once(&expected);
}

/// The child of the test above: alone it does nothing.
#[test]
#[ignore = "a part of another test"]
fn records_until_it_is_killed() {
    let Ok(places) = std::env::var(CHILD) else { return };
    let places = Places::read(&places);
    let mut node = Node::beside(&places.folder);
    node.sent = node.ids().len() as u64;
    let _outputs = node.start_all(places.outputs()).unwrap();
    loop {
        node.record(500);
    }
}

/// The stream of a fleet, where there can be one.
#[cfg(feature = "nats")]
mod fleet {
    use serde_json::Value;

    use crate::harness::repeats;
    use crate::nats_server::{Client, JETSTREAM, NatsServer};

    pub struct Fleet(Option<NatsServer>);

    impl Fleet {
        pub fn start() -> Self {
            let server = NatsServer::start(JETSTREAM);
            let stream =
                |server: &NatsServer| Client::new(server).add_stream("pot.>", &Value::Null);
            server.iter().for_each(stream);
            Self(server)
        }

        pub fn url(&self) -> String {
            self.0.as_ref().map(NatsServer::url).unwrap_or_default()
        }

        pub fn messages(&self) -> u64 {
            self.0.as_ref().map_or(0, |server| Client::new(server).messages())
        }

        pub fn has_each_once(&self, expected: &[String]) {
            if let Some(server) = &self.0 {
                assert_eq!(repeats(expected, &Client::new(server).ids()), 0, "NATS: once each");
            }
        }
    }
}

#[cfg(not(feature = "nats"))]
mod fleet {
    pub struct Fleet;

    impl Fleet {
        pub fn start() -> Self {
            Self
        }

        pub fn url(&self) -> String {
            String::new()
        }

        pub fn messages(&self) -> u64 {
            0
        }

        pub fn has_each_once(&self, _: &[String]) {}
    }
}
