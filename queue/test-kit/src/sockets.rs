//! The connections of a process, from the operating system.

use std::collections::BTreeSet;
use std::fs;

/// The timer of an idle connection with keep-alive (Linux, `proc_net_tcp`).
const KEEP_ALIVE: &str = "02";

/// For each connection of a process to `port` on this machine, whether it is idle and has keep-alive.
///
/// # Panics
///
/// On an error of the operating system.
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
