//! The connections of a process, from the operating system.

use std::collections::BTreeMap;
use std::fs;

/// The timer of an idle connection with keep-alive (Linux, `proc_net_tcp`).
const KEEP_ALIVE: &str = "02";

/// For each connection of a process to `port` on this machine, whether it is idle and has keep-alive.
///
/// # Panics
///
/// On an error of the operating system.
pub fn kept_alive(process: u32, port: u16) -> Vec<bool> {
    let ours = connections(process, port).into_iter();
    ours.map(|connection| connection.timer.starts_with(KEEP_ALIVE)).collect()
}

/// How long a connection bears silence.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketPatience {
    /// After how much silence the other side is asked for a sign of life; none when it never is.
    pub asks_after: Option<std::time::Duration>,
    /// For how many milliseconds the other side may leave unacknowledged what it was sent; 0 for the system's own time,
    /// which is a quarter of an hour.
    pub unacknowledged_ms: u32,
}

/// The patience of each connection of a process to `port` on this machine. None when the system lets no process look at
/// another's sockets, as some containers do.
///
/// # Panics
///
/// When the system does not say.
#[cfg(target_os = "linux")]
pub fn patience_of(process: u32, port: u16) -> Option<Vec<SocketPatience>> {
    use rustix::io::Errno;
    use rustix::net::sockopt::{socket_keepalive, tcp_keepidle, tcp_user_timeout};
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

    let pid = Pid::from_raw(process.try_into().unwrap()).unwrap();
    let process_handle = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let mut found = Vec::new();
    for connection in connections(process, port) {
        match pidfd_getfd(&process_handle, connection.descriptor, PidfdGetfdFlags::empty()) {
            Ok(socket) => {
                let asks = socket_keepalive(&socket).unwrap();
                found.push(SocketPatience {
                    asks_after: asks.then(|| tcp_keepidle(&socket).unwrap()),
                    unacknowledged_ms: tcp_user_timeout(&socket).unwrap(),
                });
            }
            Err(Errno::BADF) => {} // Closed meanwhile.
            Err(Errno::PERM | Errno::NOSYS) => return None,
            Err(error) => panic!("a socket of process {process}: {error}"),
        }
    }
    Some(found)
}

/// An open connection of a process.
struct Connection {
    descriptor: i32,
    /// The timer that runs, as `proc_net_tcp` writes it.
    timer: String,
}

/// The connections of a process to `port` on this machine.
fn connections(process: u32, port: u16) -> Vec<Connection> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let sockets: BTreeMap<String, i32> = open
        .filter_map(|file| {
            let path = file.ok()?.path();
            let link = fs::read_link(&path).ok()?.to_str()?.to_owned();
            let inode = link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned();
            Some((inode, path.file_name()?.to_str()?.parse().ok()?))
        })
        .collect();
    let all = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let to = format!("0100007F:{port:04X}");
    let rows = all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|row| row[2] == to && row[3] == "01");
    ours.filter_map(|row| {
        let descriptor = *sockets.get(row[9])?;
        Some(Connection { descriptor, timer: row[5].to_owned() })
    })
    .collect()
}
