//! What the operating system knows of a process' connections.

use std::collections::BTreeSet;
use std::fs;

/// The timer of a connection on which nothing moves and that is asked for signs of life (Linux, `proc_net_tcp`).
const KEEP_ALIVE: &str = "02";

/// Of each connection of a process to `port` on this machine, whether it is asked for signs of life while nothing moves.
///
/// # Panics
///
/// When the system does not say.
pub fn kept_alive(process: u32, port: u16) -> Vec<bool> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let sockets: BTreeSet<String> = open
        .filter_map(|file| Some(fs::read_link(file.ok()?.path()).ok()?.to_str()?.to_owned()))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let all = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let to = format!("0100007F:{port:04X}");
    let rows = all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|row| row[2] == to && row[3] == "01" && sockets.contains(row[9]));
    ours.map(|row| row[5].starts_with(KEEP_ALIVE)).collect()
}
