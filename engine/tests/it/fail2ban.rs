//! The jail that we ship, with the real fail2ban in a network namespace of the test's own.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use socket2::{Domain, Socket, Type};

use crate::export::Namespace;
use crate::harness::{Node, await_that, has, plan, request, telephone};

/// Where fail2ban's own files are.
const INSTALLED: &str = "/etc/fail2ban";

/// fail2ban in a namespace, ended when this is dropped.
struct Fail2ban<'a> {
    namespace: &'a Namespace,
    child: Child,
    log: PathBuf,
}

impl<'a> Fail2ban<'a> {
    /// With our filter and jail, switched on as its text says, for this log.
    fn start(namespace: &'a Namespace, folder: &Path, syslog: &Path) -> Self {
        let config = configuration(folder, syslog);
        let log = folder.join("fail2ban.log");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace.name(), "fail2ban-server", "-xf"]);
        command.arg("-c").arg(&config).arg("-s").arg(folder.join("f2b.sock"));
        command.arg("-p").arg(folder.join("f2b.pid")).arg("--logtarget").arg(&log).arg("start");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let fail2ban = Self { namespace, child, log };
        await_that(|| fail2ban.said("Jail 'sentrypeer' started"), "the jail");
        fail2ban
    }

    fn said(&self, text: &str) -> bool {
        fs::read_to_string(&self.log).unwrap_or_default().contains(text)
    }

    /// Everything that it has in the firewall of the namespace.
    fn table(&self) -> String {
        let listed = self.namespace.run(&["nft", "list", "table", "inet", "f2b-table"], b"");
        String::from_utf8(listed.stdout).unwrap()
    }

    fn set(&self) -> String {
        let words = ["nft", "list", "set", "inet", "f2b-table", "addr-set-sentrypeer"];
        String::from_utf8(self.namespace.run(&words, b"").stdout).unwrap()
    }
}

impl Drop for Fail2ban<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an operator has after copying our files: fail2ban's own, and ours beside them.
fn configuration(folder: &Path, syslog: &Path) -> PathBuf {
    let (config, installed) = (folder.join("fail2ban"), Path::new(INSTALLED));
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/fail2ban");
    for part in ["filter.d", "jail.d"] {
        fs::create_dir_all(config.join(part)).unwrap();
        fs::copy(
            ours.join(part).join("sentrypeer.conf"),
            config.join(part).join("sentrypeer.conf"),
        )
        .unwrap();
    }
    let parts = fs::read_dir(installed).unwrap().map(|entry| entry.unwrap().file_name());
    let paths = parts.filter(|name| name.to_string_lossy().starts_with("paths-"));
    let named = ["fail2ban.conf", "jail.conf", "action.d", "filter.d/common.conf"].map(Into::into);
    for part in paths.chain(named) {
        symlink(installed.join(&part), config.join(&part)).unwrap();
    }
    fs::write(config.join("fail2ban.local"), "[Definition]\ndbfile = None\n").unwrap();
    let on =
        format!("[sentrypeer]\nenabled = true\nbackend = auto\nlogpath = {}\n", syslog.display());
    fs::write(config.join("jail.d/sentrypeer.local"), on).unwrap();
    config
}

/// Writes lines into a file as a syslog daemon does: the name of the machine stands behind the time.
fn daemon(socket: &Path, file: &Path) {
    let socket = UnixDatagram::bind(socket).unwrap();
    let mut file = fs::File::create(file).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(got) = socket.recv(&mut buffer) {
            let line = std::str::from_utf8(&buffer[..got]).unwrap().strip_prefix("<13>").unwrap();
            writeln!(file, "{} pot {}", &line[..15], &line[16..]).unwrap();
        }
    });
}

fn host(last: u8) -> SocketAddr {
    (IpAddr::from([127, 0, 0, last]), 0).into()
}

/// A probe in a datagram, which may be forged.
fn probe_over_udp(node: &Node, from: u8) {
    let socket = telephone([127, 0, 0, from]);
    let text = request("OPTIONS", "100", &format!("udp-{from}"), "UDP");
    socket.send_to(text.as_bytes(), node.udp.unwrap()).unwrap();
    socket.recv(&mut [0; 2_048]).unwrap();
}

/// A probe over a connection, which cannot.
fn probe_over_tcp(node: &Node, from: u8) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&host(from).into()).unwrap();
    socket.connect(&node.tcp.unwrap().into()).unwrap();
    let text = request("INVITE", "900", &format!("tcp-{from}"), "TCP");
    TcpStream::from(socket).write_all(text.as_bytes()).unwrap();
}

#[test]
fn who_has_probed_and_proven_his_address_is_banned_and_no_other() {
    if !has("fail2ban-server") || !has("nft") {
        return;
    }
    let Some(namespace) = Namespace::new("f2b") else { return };
    let plan = plan(&["-s", "--syslog-min-verification=return-path"]);
    let folder = plan.folder.path().to_owned();
    let (socket, syslog) = (folder.join("log.sock"), folder.join("syslog"));
    daemon(&socket, &syslog);
    let mut command = plan.command();
    command.arg("--syslog-address").arg(&socket);
    let node = plan.start_as(command);
    let fail2ban = Fail2ban::start(&namespace, &folder, &syslog);
    probe_over_udp(&node, 7);
    for from in [8, 9] {
        probe_over_tcp(&node, from);
    }
    node.await_events(3);
    let banned = |from: u8| fail2ban.set().contains(&format!("127.0.0.{from}"));
    await_that(|| banned(8) && banned(9), "the bans");
    assert!(!banned(7), "{}", fail2ban.set());
    let table = fail2ban.table();
    let rule = "meta l4proto { tcp, udp } ip saddr @addr-set-sentrypeer reject";
    assert!(table.contains(rule), "{table}");
}
