//! The program under load: started as a process of its own, asked over its API, and stopped.

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a start, a stop or an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often other ports are tried when some are taken.
const TRIES: u32 = 5;
/// How often what is waited for is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Where the programs lie, and where databases may be made.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder of the built programs.
    pub programs: PathBuf,
    /// A folder for databases, on the disk that is to be measured.
    pub folder: PathBuf,
    /// What is added to the program's environment.
    pub environment: Vec<(String, String)>,
}

/// A child that is ended with us. Its output is read by nobody unless it is taken.
pub struct Running(pub Child);

impl Running {
    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.pid()) {
            // It fails only if the process has gone, which waiting for it will say.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// If it does not end in time, or not with success.
    pub fn stop(&mut self) -> io::Result<()> {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    ///
    /// If it does not end in time, or not with success.
    pub fn wait(&mut self) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.0.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(io::Error::other(format!("it ended with {status}"))),
                None => thread::sleep(LOOK),
            }
        }
        Err(io::Error::other("it does not end"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node on loopback.
pub struct Node {
    /// The process.
    pub process: Running,
    /// Its folder, which goes with it.
    pub folder: tempfile::TempDir,
    /// The port of SIP over UDP and TCP; TLS is at the next.
    pub sip: u16,
    /// The port of the API.
    pub api: u16,
    /// The port of the dip lane.
    pub dip: u16,
    /// What it was started with.
    arguments: Vec<String>,
    place: Place,
}

impl Node {
    /// Starts the program with these arguments beside its ports and its database, and waits until it
    /// is ready.
    ///
    /// # Errors
    ///
    /// If it does not become ready; its log is in the message.
    pub fn start(place: &Place, arguments: &[&str]) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            let mut node = Self::launch(place, arguments)?;
            match node.wait_until_ready() {
                Ok(()) => return Ok(node),
                // Somebody else was faster with one of its ports.
                Err(_) if tries < TRIES && node.log().contains("Address already in use") => {
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The same without waiting.
    ///
    /// # Errors
    ///
    /// If there is no such program, or no place for it.
    pub fn launch(place: &Place, arguments: &[&str]) -> io::Result<Self> {
        let folder = tempfile::tempdir_in(&place.folder)?;
        let sip = free_ports(4)?;
        let (api, dip) = (sip + 2, sip + 3);
        let own = [
            "-a".to_owned(),
            "-f".to_owned(),
            folder.path().join("bench.redb").display().to_string(),
            "--test-addresses".to_owned(),
            format!("--sip-listen=127.0.0.1:{sip}"),
            format!("--tls-listen=127.0.0.1:{}", sip + 1),
            format!("--api-listen=127.0.0.1:{api}"),
            format!("--dip-listen=127.0.0.1:{dip}"),
        ];
        let given = arguments.iter().map(|argument| (*argument).to_owned());
        let arguments: Vec<String> = own.into_iter().chain(given).collect();
        let process = spawn(place, &arguments, folder.path())?;
        Ok(Self { process, folder, sip, api, dip, arguments, place: place.clone() })
    }

    /// Starts it again in the same folder, after it was stopped or killed.
    ///
    /// # Errors
    ///
    /// As for [`Self::start`].
    pub fn restart(&mut self) -> io::Result<()> {
        self.process = spawn(&self.place, &self.arguments, self.folder.path())?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && self.process.0.try_wait()?.is_none() {
            if self.get("/readyz").is_ok() {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        Err(io::Error::other(format!("the program did not start:\n{}", self.log())))
    }

    /// What it said so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The body that its API has for a path.
    ///
    /// # Errors
    ///
    /// If there is no answer, or one that is not a success.
    pub fn get(&self, path: &str) -> io::Result<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.api);
        let output = Command::new("curl").args(["-fsS", "--max-time", "30", &url]).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{url}: {}", said.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// All that its `/metrics` say at one moment.
    ///
    /// # Errors
    ///
    /// As for [`Self::get`].
    pub fn metrics(&self) -> io::Result<Metrics> {
        Ok(Metrics(self.get("/metrics")?))
    }

    /// What became of all events: see [`Fate`].
    ///
    /// # Errors
    ///
    /// As for [`Metrics::sum`].
    pub fn fate(&self) -> io::Result<Fate> {
        let metrics = self.metrics()?;
        let of = |name: &str| metrics.sum(name);
        Ok(Fate {
            received: of("sentrypeer_datagrams_received_total")?,
            stored: of("sentrypeer_writer_events_stored_total")?,
            shed: of("sentrypeer_events_shed_total")? + of("sentrypeer_writer_events_lost_total")?,
            dropped: of("sentrypeer_kernel_drops_total")?,
        })
    }

    /// Waits until it has stored `events`, or until nothing more happens for a second.
    ///
    /// # Errors
    ///
    /// As for [`Metrics::sum`].
    pub fn settle(&self, events: f64) -> io::Result<Fate> {
        let (mut last, mut since) = (self.fate()?, Instant::now());
        while last.stored < events && since.elapsed() < Duration::from_secs(1) {
            thread::sleep(LOOK);
            let fate = self.fate()?;
            if fate.stored > last.stored {
                since = Instant::now();
            }
            last = fate;
        }
        Ok(last)
    }
}

/// What became of the datagrams that were sent.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// Taken from the kernel.
    pub received: f64,
    /// Stored as events.
    pub stored: f64,
    /// Given up by the program, and counted.
    pub shed: f64,
    /// Dropped by the kernel at the program's sockets.
    pub dropped: f64,
}

/// What a node's `/metrics` said.
pub struct Metrics(String);

impl Metrics {
    /// The sum of a metric over all its labels.
    ///
    /// # Errors
    ///
    /// If there is no such metric.
    pub fn sum(&self, name: &str) -> io::Result<f64> {
        let values = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
        });
        let sum = values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value));
        sum.ok_or_else(|| io::Error::other(format!("there is no metric {name}")))
    }
}

fn spawn(place: &Place, arguments: &[String], folder: &Path) -> io::Result<Running> {
    let program = place.programs.join("sentrypeer");
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let child = Command::new(&program)
        .args(arguments)
        .envs(place.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
    Ok(Running(child))
}

/// A port that nobody has.
///
/// # Errors
///
/// If there is none.
pub fn free_port() -> io::Result<u16> {
    free_ports(1)
}

/// The first of so many ports in a row that nobody has, below those that the system gives away. Where the
/// search begins is left to chance: others look for ports at the same time.
fn free_ports(count: u16) -> io::Result<u16> {
    use std::hash::{BuildHasher, RandomState};
    let chance = (RandomState::new().hash_one(count) % 11_000) as u16;
    let candidates = (0..1_000).map(|i| 20_000 + (chance + i * count) % 12_000);
    let mut free = candidates.filter(|&port| is_free(port, count));
    free.next().ok_or_else(|| io::Error::other("no ports are free on 127.0.0.1"))
}

fn is_free(first: u16, count: u16) -> bool {
    let (udp, tcp): (Vec<_>, Vec<_>) = (first..first + count)
        .map(|port| {
            let address = ("127.0.0.1", port);
            (UdpSocket::bind(address).is_ok(), std::net::TcpListener::bind(address).is_ok())
        })
        .unzip();
    udp.into_iter().chain(tcp).all(|free| free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_over_its_labels() {
        let text = "# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\nab 10\nb 7.5\n";
        let metrics = Metrics(text.to_owned());
        assert_eq!(metrics.sum("a").unwrap(), 5.0);
        assert_eq!(metrics.sum("b").unwrap(), 7.5);
        assert!(metrics.sum("c").is_err());
    }

    #[test]
    fn ports_in_a_row_are_free() {
        let first = free_ports(4).unwrap();
        assert!(is_free(first, 4));
        let _taken = UdpSocket::bind(("127.0.0.1", first + 2)).unwrap();
        assert!(!is_free(first, 4));
    }
}
