//! A real master with two replicas under three sentinels for one test. Stopped at the end of the test.
//!
//! Servers are named by port, since any of them may be the master, and sentinels by index. Functions that wait for the
//! sentinels are async, so that other tasks of a test can run.

mod report;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use self::report::{CALM, Report};
use crate::server::{Server, program};
use crate::until;

const REPLICAS: usize = 2;
const SENTINELS: usize = 3;
/// Sentinels check the servers every second instead of every ten, and exchange their views twice a second, so a lost master
/// becomes a replica within seconds. A sentinel that did not run for two seconds, as on a busy machine, does nothing for a
/// while, because its clock may be wrong (TILT): two seconds instead of thirty.
const HURRY: &[&str] =
    &["SENTINEL", "DEBUG", "INFO-PERIOD", "1000", "PUBLISH-PERIOD", "500", "TILT-PERIOD", "2000"];
/// Keeps everything on disk.
const OPTIONS: &str = r#"save ""
appendonly yes
appendfsync always
repl-diskless-sync-delay 0
repl-ping-replica-period 1
"#;

/// A running set of servers and sentinels. Killed when dropped.
#[derive(Debug)]
pub struct TestSentinel {
    servers: Vec<Server>,
    sentinels: Vec<Server>,
}

impl TestSentinel {
    /// Starts it and returns when the sentinels see the master, both replicas and each other.
    ///
    /// # Panics
    ///
    /// When there is no `redis-server` or they do not come up.
    pub async fn start() -> Self {
        let master = Server::start(|port, folder| configured(port, folder, OPTIONS));
        let main = master.port();
        let options = format!("{OPTIONS}replicaof 127.0.0.1 {main}\n");
        let replica = |port, folder: &Path| configured(port, folder, &options);
        let replicas = (0..REPLICAS).map(|_| Server::start(replica));
        let servers: Vec<_> = std::iter::once(master).chain(replicas).collect();
        let mut started = Self { servers, sentinels: Vec::new() };
        // Before a sentinel asks them, so that its first view is a healthy one.
        until("that the replicas follow", || started.servers_follow(main)).await;
        let watch = |port, folder: &Path| sentinel(port, folder, main);
        started.sentinels = (0..SENTINELS).map(|_| Server::start(watch)).collect();
        started.sentinels.iter().for_each(|sentinel| sentinel.order(HURRY));
        started.settled().await;
        started
    }

    /// The address of the sentinels, and their name for the master.
    pub fn url(&self) -> String {
        let all: Vec<_> =
            self.sentinels.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-sentinel://{}?master=main", all.join(","))
    }

    /// The port of the master, from the sentinels.
    ///
    /// # Panics
    ///
    /// When no sentinel lives.
    pub fn master(&self) -> u16 {
        let reports = self.living_sentinels().filter_map(|node| Report::of(node).ok());
        // Where they differ, the latest failover counts.
        let latest = reports.max_by_key(|report| report.epoch);
        latest.unwrap_or_else(|| panic!("no sentinel knows a master")).master
    }

    /// The ports of all servers and sentinels.
    pub fn ports(&self) -> Vec<u16> {
        self.servers.iter().chain(&self.sentinels).map(Server::port).collect()
    }

    /// The port of a sentinel.
    pub fn sentinel(&self, index: usize) -> u16 {
        self.sentinels[index].port()
    }

    /// What `redis-cli` prints about a command to the server or sentinel on a port.
    ///
    /// # Panics
    ///
    /// When it is dead or frozen.
    pub fn ask(&self, port: u16, command: &[&str]) -> String {
        self.on(port).ask(command)
    }

    /// Ends the master with SIGKILL, and returns its port.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill_master(&mut self) -> u16 {
        let port = self.master();
        let master = self.servers.iter_mut().find(|server| server.port() == port);
        master.unwrap().kill();
        port
    }

    /// Freezes the master with SIGSTOP, and returns its port.
    ///
    /// # Panics
    ///
    /// When it cannot be signalled.
    pub fn freeze_master(&self) -> u16 {
        let port = self.master();
        self.on(port).freeze();
        port
    }

    /// Freezes a sentinel with SIGSTOP; [`TestSentinel::thaw`] continues it.
    ///
    /// # Panics
    ///
    /// When it cannot be signalled.
    pub fn freeze_sentinel(&self, index: usize) {
        self.sentinels[index].freeze();
    }

    /// Continues a frozen server or sentinel. An old master still accepts writes until the sentinels correct it, after two
    /// seconds or more; [`TestSentinel::settled`] waits for that.
    ///
    /// # Panics
    ///
    /// When it cannot be signalled.
    pub fn thaw(&self, port: u16) {
        self.on(port).thaw();
    }

    /// Starts a killed server again on its port and folder; then as after [`TestSentinel::thaw`].
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn revive(&mut self, port: u16) {
        let server = self.servers.iter_mut().find(|server| server.port() == port);
        server.unwrap_or_else(|| panic!("no server is on port {port}")).revive();
    }

    /// Ends a sentinel with SIGKILL.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill_sentinel(&mut self, index: usize) {
        self.sentinels[index].kill();
    }

    /// Starts a killed sentinel again.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn revive_sentinel(&mut self, index: usize) {
        self.sentinels[index].revive();
        self.sentinels[index].order(HURRY);
    }

    /// Makes a replica the master although the old one works, and returns its port when all running sentinels know.
    ///
    /// # Panics
    ///
    /// When that does not happen in time.
    pub async fn fail_over(&self) -> u16 {
        let old = self.master();
        until("that a sentinel begins a failover", || {
            let sentinel = self.living_sentinels().next().ok_or("no sentinel lives")?;
            // Refused while another failover is in progress, or while no replica was seen recently.
            let answer = sentinel.ask(&["SENTINEL", "FAILOVER", "main"]);
            if answer == "OK" { Ok(()) } else { Err(answer) }
        })
        .await;
        self.wait_for_failover(old).await
    }

    /// Waits until all running sentinels have another master than `old`, and it acts as one; returns its port.
    ///
    /// # Panics
    ///
    /// When that does not happen in time.
    pub async fn wait_for_failover(&self, old: u16) -> u16 {
        until(&format!("another master than the one on port {old}"), || {
            let new = self.agreed_master()?;
            if new == old {
                let states: Vec<_> = self.living_sentinels().map(state).collect();
                return Err(format!("it is still the master; {}", states.join("; ")));
            }
            Ok(new)
        })
        .await
    }

    /// Waits until the running replicas have all writes of the master. (`WAIT` by [`TestSentinel::ask`] does not help: it
    /// concerns only the writes of its own connection.)
    ///
    /// # Panics
    ///
    /// When the master does not live or the replicas do not come after it in time.
    pub async fn replicated(&self) {
        let master = self.on(self.master());
        let written = master.offset().unwrap_or_else(|error| panic!("{error}"));
        until("that replicas have all", || {
            let mut living = self.servers.iter().filter(|server| server.living());
            living.try_for_each(|server| server.has(written))
        })
        .await;
    }

    /// Waits until the running sentinels agree and see each other and the running servers, and replicas follow the master.
    ///
    /// # Panics
    ///
    /// When that does not happen in time.
    pub async fn settled(&self) {
        until("that sentinels and servers are settled", || {
            let master = self.agreed_master()?;
            self.servers_follow(master)?;
            self.living_sentinels().try_for_each(|sentinel| self.sees_all(sentinel))
        })
        .await;
    }
}

/// The views of the servers and sentinels.
impl TestSentinel {
    fn on(&self, port: u16) -> &Server {
        let server = self.servers.iter().chain(&self.sentinels).find(|node| node.port() == port);
        server.unwrap_or_else(|| panic!("no server or sentinel is on port {port}"))
    }

    fn living_sentinels(&self) -> impl Iterator<Item = &Server> {
        self.sentinels.iter().filter(|sentinel| sentinel.living())
    }

    /// The master, if all running sentinels name the same and it acts as one.
    fn agreed_master(&self) -> Result<u16, String> {
        let mut agreed = None;
        for sentinel in self.living_sentinels() {
            let master = Report::of(sentinel)?.master;
            if *agreed.get_or_insert(master) != master {
                return Err(format!("the sentinel on port {} has another", sentinel.port()));
            }
        }
        let port = agreed.ok_or("no sentinel lives")?;
        let master = self.on(port);
        if !master.living() || !master.talk(&["INFO replication"])?.contains("role:master") {
            return Err(format!("the server on port {port} is no living master"));
        }
        Ok(port)
    }

    fn servers_follow(&self, master: u16) -> Result<(), String> {
        let place = format!("master_port:{master}\r\nmaster_link_status:up");
        let replicas = self.servers.iter().filter(|node| node.port() != master && node.living());
        for replica in replicas {
            if !replica.talk(&["INFO replication"])?.contains(&place) {
                return Err(format!("the server on port {} does not follow", replica.port()));
            }
        }
        Ok(())
    }

    fn sees_all(&self, sentinel: &Server) -> Result<(), String> {
        let report = Report::of(sentinel)?;
        if report.flags != CALM {
            return Err(format!("a failover goes on for the sentinel on port {}", sentinel.port()));
        }
        let nodes = self.servers.iter().chain(&self.sentinels).filter(|node| node.living());
        for port in nodes.map(Server::port) {
            if ![report.master, sentinel.port()].contains(&port) {
                report.sees(port).map_err(|why| {
                    format!("for the sentinel on port {}, {why}", sentinel.port())
                })?;
            }
        }
        Ok(())
    }
}

/// The state of a sentinel, for the message of a failed test.
fn state(sentinel: &Server) -> String {
    let flags = Report::of(sentinel).map(|report| report.flags);
    let tilt = sentinel.talk(&["INFO sentinel"]).map(|info| info.contains("sentinel_tilt:1"));
    format!("for the sentinel on port {} it is {flags:?}, TILT: {tilt:?}", sentinel.port())
}

/// A server with a configuration file, in which the changes of a sentinel survive a restart.
fn configured(port: u16, folder: &Path, options: &str) -> Command {
    let file = folder.join("redis.conf");
    let place = format!("port {port}\nbind 127.0.0.1\ndir {}\n", folder.display());
    std::fs::write(&file, place + options).unwrap();
    let mut command = program();
    command.arg(file);
    command
}

fn sentinel(port: u16, folder: &Path, master: u16) -> Command {
    let mut options = format!("sentinel monitor main 127.0.0.1 {master} 2\n");
    for (option, value) in [("down-after-milliseconds", 1000), ("failover-timeout", 3000)] {
        // Writing to a string cannot fail.
        let _ = writeln!(options, "sentinel {option} main {value}");
    }
    let mut command = configured(port, folder, &options);
    command.arg("--sentinel");
    command
}
