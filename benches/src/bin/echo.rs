//! Gives back what it gets, over TCP or TLS: the least that any program that answers on connections can
//! cost. One thread that waits by epoll, with the TLS library and its settings of the program. Ends on
//! SIGTERM.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Arg, ArgAction, Command, value_parser};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use sentrypeer_benches::{receiver, request};
use signal_hook::consts::{SIGINT, SIGTERM};

/// How long nothing may be ready before the stop flag is looked at, in ms.
const QUIET_MS: u16 = 100;
/// What stands for the listener.
const LISTENER: u64 = 0;

fn main() -> io::Result<()> {
    let options = command().get_matches();
    let (Some(listen), Some(core)) =
        (options.get_one::<SocketAddrV4>("listen"), options.get_one::<usize>("core"))
    else {
        return Err(io::Error::other("--listen and --core have defaults"));
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    receiver::pin(*core)?;
    let listener = TcpListener::bind(listen)?;
    let tls = options.get_flag("tls").then(server_config).transpose()?;
    println!("listening on {listen}");
    Echo::new(listener, tls)?.run(&stop)
}

fn command() -> Command {
    let listen = Arg::new("listen").long("listen").value_name("ADDR:PORT");
    let core = Arg::new("core").long("core").value_name("N").default_value("0");
    Command::new("echo")
        .about("Gives back what it gets over TCP or TLS on this machine")
        .arg(listen.default_value("127.0.0.1:5060").value_parser(request::loopback))
        .arg(core.value_parser(value_parser!(usize)))
        .arg(Arg::new("tls").long("tls").action(ArgAction::SetTrue))
}

fn server_config() -> io::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
        .map_err(io::Error::other)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
        .map_err(io::Error::other)?;
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

struct Echo {
    epoll: Epoll,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    streams: HashMap<u64, Stream>,
    next: u64,
}

struct Stream {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
}

impl Echo {
    fn new(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(Self { epoll, listener, tls, streams: HashMap::new(), next: LISTENER + 1 })
    }

    fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut ready = [EpollEvent::empty(); 256];
        let mut buffer = vec![0; 64 * 1024];
        while !stop.load(Ordering::Relaxed) {
            let count = match self.epoll.wait(&mut ready, QUIET_MS) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for event in &ready[..count] {
                if event.data() == LISTENER {
                    self.accept()?;
                } else if self.streams.get_mut(&event.data()).is_some_and(|s| !s.turn(&mut buffer))
                {
                    // Its socket is closed with it, and leaves epoll by that.
                    self.streams.remove(&event.data());
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let tls = self.tls.clone().map(ServerConnection::new).transpose();
            let tls = tls.map_err(io::Error::other)?.map(Box::new);
            self.epoll.add(socket.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, self.next))?;
            self.streams.insert(self.next, Stream { socket, tls });
            self.next += 1;
        }
        Ok(())
    }
}

impl Stream {
    /// Gives back what is there. Whether the connection goes on.
    fn turn(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            match self.once(buffer) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// Reads once and writes that. Whether the connection goes on.
    fn once(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            let count = self.socket.read(buffer)?;
            // What the other side does not take ends the connection: it waits for its answers.
            self.socket.write_all(&buffer[..count])?;
            return Ok(count > 0);
        };
        let count = tls.read_tls(&mut self.socket)?;
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let plain = state.plaintext_bytes_to_read().min(buffer.len());
        tls.reader().read_exact(&mut buffer[..plain])?;
        tls.writer().write_all(&buffer[..plain])?;
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(count > 0)
    }
}
