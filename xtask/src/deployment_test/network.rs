//! Servers that are network namespaces on one bridge, each with a folder of its own under `/srv/freefans`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use tempfile::TempDir;

use crate::command::capture;
use crate::debian::as_root;
use crate::paths::target_dir;
use crate::system::SIMULATED_TOKEN;

/// This machine's own address on the bridge.
pub(super) const HOST: &str = "10.0.0.254";
const BRIDGE: &str = "ffdeploy";

/// The bridge, the namespaces and the folders; gone when dropped.
pub(super) struct Network {
    servers: Vec<&'static str>,
    folders: TempDir,
    programs: PathBuf,
}

impl Network {
    /// One namespace for each server: the first has the address 10.0.0.1.
    pub(super) fn new(root: &Path, servers: &[&'static str]) -> anyhow::Result<Self> {
        let folders = tempfile::tempdir().context("creating folders for the servers")?;
        let programs = target_dir(root).join("debug");
        let network = Self { servers: servers.to_vec(), folders, programs };
        network.remove(); // Left by a run that was killed; else there is nothing.
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["addr", "add", &format!("{HOST}/24"), "dev", BRIDGE])?;
        ip(&["link", "set", BRIDGE, "up"])?;
        // A machine with Docker forwards nothing that no rule names. Without iptables there is no such rule.
        let _ = forwarding("-I");
        for (number, server) in (1..).zip(servers) {
            let space = namespace(server);
            let outside = format!("{BRIDGE}-{server}");
            ip(&["netns", "add", &space])?;
            let pair = ["link", "add", &outside, "type", "veth", "peer", "name", "eth0"];
            ip(&[&pair[..], &["netns", &space]].concat())?;
            ip(&["link", "set", &outside, "master", BRIDGE, "up"])?;
            let inside = ["-n", &space];
            let address = format!("10.0.0.{number}/24");
            ip(&[&inside[..], &["addr", "add", &address, "dev", "eth0"]].concat())?;
            ip(&[&inside[..], &["link", "set", "eth0", "up"]].concat())?;
            ip(&[&inside[..], &["link", "set", "lo", "up"]].concat())?;
            network.unpack(root, server)?;
        }
        Ok(network)
    }

    /// Runs a script on a server, as root and in `/srv/freefans`. All of it ends with the command.
    pub(super) fn command(
        &self,
        server: &str,
        script: &str,
        telegram: &str,
    ) -> anyhow::Result<Command> {
        let folders = self.folders.path().display();
        let whole = format!(
            "set -euo pipefail
mount -t tmpfs none /srv
mkdir /srv/freefans
mount --bind {folders}/{server} /srv/freefans
hostname {server}
cd /srv/freefans
scp() {{ local to=\"${{@: -1:1}}\"; cp \"${{@:1:$#-1}}\" \"{folders}/${{to%%:*}}/${{to#*:/srv/freefans/}}\"; }}
{script}"
        );
        let mut command = as_root("ip")?;
        command.args(["netns", "exec", &namespace(server)]);
        command.args(["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child"]);
        command.args(["--mount-proc", "bash", "-c", &whole]);
        for (name, _) in std::env::vars_os() {
            if name != "PATH" {
                command.env_remove(name);
            }
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.programs.display()));
        command.env("HOME", "/srv/freefans").env("USER", "operator");
        command.env("TELEGRAM_BOT_TOKEN", SIMULATED_TOKEN).env("TELEGRAM_API_URL", telegram);
        Ok(command)
    }

    /// What the document says is in `/srv/freefans` at the beginning.
    fn unpack(&self, root: &Path, server: &str) -> anyhow::Result<()> {
        let folder = self.folders.path().join(server);
        for part in ["docs", "plugins/data"] {
            fs::create_dir_all(folder.join(part)).context("creating a server's folder")?;
        }
        let mut files = vec!["docs/redis.acl".to_owned()];
        for name in ["search", "content"] {
            files.push(format!("plugins/{name}.wasm"));
            files.push(format!("plugins/{name}.toml"));
        }
        files.extend([
            "plugins/data/creators.csv".to_owned(),
            "plugins/data/content.csv".to_owned(),
        ]);
        for file in files {
            fs::copy(root.join(&file), folder.join(&file))
                .with_context(|| format!("copying {file}"))?;
        }
        Ok(())
    }

    /// Removes what is there; what is not there is no error.
    fn remove(&self) {
        for server in &self.servers {
            // A connection that is being closed keeps a namespace, and with it the link, for minutes.
            let _ = ip(&["link", "del", &namespace(server)]);
            let _ = ip(&["netns", "del", &namespace(server)]);
        }
        let _ = ip(&["link", "del", BRIDGE]);
        let _ = forwarding("-D");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.remove();
    }
}

fn namespace(server: &str) -> String {
    format!("{BRIDGE}-{server}")
}

/// Adds (`-I`) or removes (`-D`) the rule that lets the servers reach each other.
fn forwarding(action: &str) -> anyhow::Result<()> {
    let rule = [action, "FORWARD", "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT"];
    capture(as_root("iptables")?.args(rule)).map(drop)
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    capture(as_root("ip")?.args(arguments)).map(drop)
}
