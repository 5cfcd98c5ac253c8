//! A proxy between client and server that drops, delays or truncates what it transfers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Forwards connections to one server. When it is dropped, existing connections stay and new ones are not accepted.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    to: u16,
    /// Number of connections, and up to which of them nothing, no response, or no whole response is transferred.
    made: AtomicU64,
    silent: AtomicU64,
    unanswered: AtomicU64,
    halved: AtomicU64,
    /// Whether every second new connection is silent from its beginning, counted from the first.
    every_second: AtomicBool,
    closed: AtomicBool,
    /// The delay of each piece.
    delay: Mutex<Duration>,
    /// Ports of servers, and of the proxies before them.
    instead: Mutex<Vec<(u16, u16)>>,
}

impl Proxy {
    /// Forwards everything until another method is called.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    pub fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            to,
            made: AtomicU64::default(),
            silent: AtomicU64::default(),
            unanswered: AtomicU64::default(),
            halved: AtomicU64::default(),
            every_second: AtomicBool::default(),
            closed: AtomicBool::default(),
            delay: Mutex::default(),
            instead: Mutex::default(),
        });
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if accepting.closed.load(Ordering::SeqCst) {
                    return;
                }
                accept(&accepting, client);
            }
        });
        Self { port, state }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections that were made so far.
    pub fn connections(&self) -> u64 {
        self.state.made.load(Ordering::SeqCst)
    }

    /// Makes all existing connections silent without closing them. New ones work.
    pub fn forget(&self) {
        self.state.silent.store(self.connections(), Ordering::SeqCst);
    }

    /// As [`Proxy::forget`], for responses only: requests still reach the server.
    pub fn forget_answers(&self) {
        self.state.unanswered.store(self.connections(), Ordering::SeqCst);
    }

    /// Transfers half of the next response on each existing connection, and nothing after it.
    pub fn halve_answers(&self) {
        self.state.halved.store(self.connections(), Ordering::SeqCst);
    }

    /// From now on every second new connection is silent, starting with the first.
    pub fn forget_every_second(&self) {
        self.state.every_second.store(true, Ordering::SeqCst);
    }

    /// Delays each piece in both directions from now on.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn delay(&self, delay: Duration) {
        *self.state.delay.lock().unwrap() = delay;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        // Wakes the accepting thread; it may have ended already.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Proxies for the servers of a Cluster, or for Sentinels and their servers. Addresses in responses are replaced by those
/// of the proxies.
#[derive(Debug)]
pub struct Proxies {
    all: Vec<Proxy>,
}

impl Proxies {
    /// One before each of the servers on `ports`.
    ///
    /// # Panics
    ///
    /// As [`Proxy::start`].
    pub fn start(ports: &[u16]) -> Self {
        let all: Vec<Proxy> = ports.iter().map(|port| Proxy::start(*port)).collect();
        let instead: Vec<(u16, u16)> = all.iter().map(|it| (it.state.to, it.port)).collect();
        for proxy in &all {
            (*proxy.state.instead.lock().unwrap()).clone_from(&instead);
        }
        Self { all }
    }

    /// The proxy before a server.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn before(&self, port: u16) -> &Proxy {
        let found = self.all.iter().find(|proxy| proxy.state.to == port);
        found.unwrap_or_else(|| panic!("no proxy is before port {port}"))
    }

    /// All proxies.
    pub fn all(&self) -> &[Proxy] {
        &self.all
    }

    /// An address, with proxies in place of the servers.
    pub fn url(&self, url: &str) -> String {
        let named = |url: String, proxy: &Proxy| {
            url.replace(&format!(":{}", proxy.state.to), &format!(":{}", proxy.port))
        };
        self.all.iter().fold(url.to_owned(), named)
    }
}

fn accept(state: &Arc<State>, client: TcpStream) {
    let number = state.made.fetch_add(1, Ordering::SeqCst) + 1;
    let swallow = state.every_second.load(Ordering::SeqCst) && number % 2 == 1;
    // The server is down: the client sees its connection close.
    let Ok(server) = TcpStream::connect(("127.0.0.1", state.to)) else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let from_client = client.try_clone().unwrap();
    let from_server = server.try_clone().unwrap();
    let asked = Arc::clone(state);
    std::thread::spawn(move || forward(&asked, number, from_client, server, false, swallow));
    let answered = Arc::clone(state);
    std::thread::spawn(move || forward(&answered, number, from_server, client, true, swallow));
}

/// A piece of data, and its time of delivery. An empty one is the end.
type Piece = (Instant, Vec<u8>);

fn forward(
    state: &State,
    number: u64,
    mut from: TcpStream,
    to: TcpStream,
    answers: bool,
    swallow: bool,
) {
    let upto = |limit: &AtomicU64| number <= limit.load(Ordering::SeqCst);
    let (send, arriving) = mpsc::channel::<Piece>();
    let gone = from.try_clone().unwrap();
    std::thread::spawn(move || deliver(&arriving, to, &gone));
    let mut piece = vec![0; 64 * 1024];
    let mut halved = false;
    loop {
        // The end of the connection, or an error.
        let length = from.read(&mut piece).unwrap_or(0);
        let silent = swallow || halved || upto(&state.silent) || answers && upto(&state.unanswered);
        if silent {
            // A forgotten connection does not see the end either; the other direction keeps both streams open.
            if length == 0 {
                return;
            }
            continue;
        }
        let at = Instant::now() + *state.delay.lock().unwrap();
        if length == 0 {
            let _ = send.send((at, Vec::new())); // It may be closed already.
            return;
        }
        let mut whole = piece[..length].to_vec();
        if answers {
            state.rename(&mut whole);
            if upto(&state.halved) {
                halved = true;
                whole.truncate(length / 2);
            }
        }
        if send.send((at, whole)).is_err() {
            return;
        }
    }
}

/// Writes pieces at their times.
fn deliver(pieces: &mpsc::Receiver<Piece>, mut to: TcpStream, gone: &TcpStream) {
    while let Ok((at, piece)) = pieces.recv() {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if piece.is_empty() {
            let _ = to.shutdown(Shutdown::Write); // It may be closed already.
        } else if to.write_all(&piece).is_err() {
            let _ = gone.shutdown(Shutdown::Both); // It may be closed already.
            return;
        }
    }
}

impl State {
    /// Replaces ports of servers by those of proxies. All have five digits, so that no length changes.
    fn rename(&self, answer: &mut [u8]) {
        for (port, proxy) in self.instead.lock().unwrap().iter() {
            for before in [":", "\r\n"] {
                let old = format!("{before}{port}\r\n");
                let new = format!("{before}{proxy}\r\n");
                assert_eq!(old.len(), new.len(), "a port of another length");
                let mut at = 0;
                while at + old.len() <= answer.len() {
                    let place = &mut answer[at..at + old.len()];
                    if place == old.as_bytes() {
                        place.copy_from_slice(new.as_bytes());
                    }
                    at += 1;
                }
            }
        }
    }
}
