//! The images: ours from the Dockerfile, and those that it starts from where they cannot be fetched.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::engine::Engine;
use crate::command::{capture, run};
use crate::debian::{as_root, find, install};

const DEBIAN: &str = "debian:bookworm-slim";
const REDIS: &str = "redis:7-bookworm";
const RUST: &str = "rust:1.95-bookworm";
/// How long an engine may look for a registry, in seconds.
const PULL_SECONDS: &str = "120";

/// The published image answers other machines without a password, too: Docker's network is what keeps them out.
const REDIS_FILE: &str = "FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends redis-server && mkdir -p /data
WORKDIR /data
VOLUME /data
ENTRYPOINT [\"sh\", \"-c\", \"exec \\\"$@\\\" --protected-mode no\", \"redis\"]
";

/// The folder of a toolchain is its context.
const RUST_FILE: &str = "FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev ca-certificates
COPY bin /usr/local/rust/bin
COPY lib /usr/local/rust/lib
ENV PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=/usr/local/cargo
";

/// Builds `freefans-coordinator` and `freefans-worker`.
pub(super) fn build(
    engine: &Engine,
    root: &Path,
    profile: &str,
    folder: &Path,
) -> anyhow::Result<()> {
    if !is_there(engine, DEBIAN) {
        debootstrap(engine, folder)?;
    }
    if !is_there(engine, REDIS) {
        from_text(engine, REDIS, REDIS_FILE, folder)?;
    }
    if !is_there(engine, RUST) {
        let sysroot =
            capture(Command::new("rustc").args(["--print", "sysroot"]).current_dir(root))?;
        from_text(engine, RUST, RUST_FILE, Path::new(sysroot.trim()))?;
    }
    for target in ["coordinator", "worker"] {
        println!("building the image freefans-{target}");
        let mut docker = engine.docker();
        docker.args(["build", "--network", "host", "--target", target]);
        docker.args(["--build-arg", &format!("PROFILE={profile}")]);
        docker.args(["--tag", &format!("freefans-{target}")]).arg(root);
        capture(&mut docker)?;
    }
    Ok(())
}

/// Whether an image is there, or could be fetched.
fn is_there(engine: &Engine, image: &str) -> bool {
    if capture(engine.docker().args(["image", "inspect", image])).is_ok() {
        return true;
    }
    let docker = engine.docker();
    let mut pull = Command::new("timeout");
    pull.arg(PULL_SECONDS).arg(docker.get_program()).args(["pull", "--quiet", image]);
    for (name, value) in docker.get_envs() {
        if let Some(value) = value {
            pull.env(name, value);
        }
    }
    match capture(&mut pull) {
        Ok(_) => true,
        Err(_) => {
            println!("{image} cannot be fetched; making it here");
            false
        }
    }
}

/// Builds an image from a Dockerfile that is given as text, with the files of `context`.
fn from_text(engine: &Engine, image: &str, text: &str, context: &Path) -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::new().context("creating a Dockerfile")?;
    fs::write(file.path(), text).context("writing a Dockerfile")?;
    let mut docker = engine.docker();
    docker.args(["build", "--network", "host", "--tag", image, "--file"]).arg(file.path());
    capture(docker.arg(context)).map(drop)
}

/// Makes a small Debian of the distribution's packages, with this machine's certificates: it may stand behind a proxy.
fn debootstrap(engine: &Engine, folder: &Path) -> anyhow::Result<()> {
    if find("debootstrap").is_none() {
        install(&["debootstrap"])?;
    }
    let files = folder.join("debian");
    if !files.join("etc/debian_version").is_file() {
        let mut command = as_root("debootstrap")?;
        capture(command.args(["--variant=minbase", "bookworm"]).arg(&files))?;
    }
    let ours = Path::new("/usr/local/share/ca-certificates");
    if ours.is_dir() {
        let there = files.join("usr/local/share");
        capture(as_root("mkdir")?.arg("-p").arg(&there))?;
        capture(as_root("cp")?.arg("-r").arg(ours).arg(there))?;
    }
    let mut tar = as_root("tar")?;
    tar.args(["--create", "--numeric-owner", "--directory"]).arg(&files).arg(".");
    let mut tar = tar.stdout(Stdio::piped()).spawn().context("starting tar")?;
    let archive = tar.stdout.take().context("tar has an output")?;
    let imported = run(engine.docker().args(["import", "-", DEBIAN]).stdin(archive));
    let ended = tar.wait().context("waiting for tar")?;
    imported?;
    ensure!(ended.success(), "tar failed ({ended})");
    Ok(())
}
