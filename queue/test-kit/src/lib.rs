//! Real parts for tests: a private `redis-server`, processes with their logs, and waiting for conditions.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test helper reports failure by panicking"
)]

mod browser;
mod cluster;
mod described;
mod figures;
mod hostile;
mod mutate;
mod process;
mod proxy;
mod redis;
mod sentinel;
mod server;
mod sockets;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use browser::Browser;
pub use cluster::TestCluster;
pub use described::{DescribedGuest, GuestAnswer, trapping_guest};
pub use figures::{record_figure, write_figures};
pub use hostile::{Ending, HostileGuest, harmless_guest, harmless_guest_named, hostile_guests};
pub use mutate::{cases, mutate};
pub use process::Process;
pub use proxy::{Proxies, Proxy};
pub use redis::TestRedis;
pub use sentinel::TestSentinel;
pub use server::{free_port, program as redis_server};
pub use sockets::kept_alive;
#[cfg(target_os = "linux")]
pub use sockets::{SocketPatience, patience_of};

/// Longest wait of a test for a condition. Long, because a busy machine is not a failure.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The shipped plugins, with their settings and data.
const SHIPPED: [&str; 6] = [
    "search.wasm",
    "search.toml",
    "content.wasm",
    "content.toml",
    "data/creators.csv",
    "data/content.csv",
];

/// Puts the shipped plugins, with their settings and data, into `folder`, which is made where it is missing.
///
/// # Errors
///
/// When one of them cannot be copied, for instance because it was not built.
pub fn copy_shipped_plugins(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder.join("data"))?;
    let shipped = root().join("plugins");
    for file in SHIPPED {
        std::fs::copy(shipped.join(file), folder.join(file)).map_err(|error| {
            let what = format!("{file}: {error}; run `cargo xtask build-plugins --tests` first");
            std::io::Error::new(error.kind(), what)
        })?;
    }
    Ok(())
}

/// Waits until `condition` returns something, for at most [`PATIENCE`].
///
/// # Panics
///
/// When it does not in time.
pub async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, condition).await
}

/// As [`eventually`], with another time limit.
pub(crate) async fn within<T>(
    patience: Duration,
    what: &str,
    condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let Some(found) = poll_until(patience, condition).await else {
        panic!("{what} did not happen within {patience:?}")
    };
    found
}

/// As [`eventually`], for a condition that says why it does not hold yet: the last reason is part of the panic.
pub(crate) async fn until<T>(what: &str, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let mut reason = String::new();
    let found = async || match condition() {
        Ok(found) => Some(found),
        Err(not_yet) => {
            reason = not_yet;
            None
        }
    };
    let Some(found) = poll_until(PATIENCE, found).await else {
        panic!("{what} did not happen within {PATIENCE:?}: {reason}")
    };
    found
}

/// What `condition` returns, if it does so within `patience`.
pub async fn poll_until<T>(
    patience: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let until = tokio::time::Instant::now() + patience;
    while tokio::time::Instant::now() < until {
        if let Some(found) = condition().await {
            return Some(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

/// The repository's folder.
///
/// # Panics
///
/// Never in a checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// A program of the workspace that the calling test's crate does not build. It is in the folder of `binary`, a program of
/// that crate.
///
/// # Panics
///
/// When it was not built.
pub fn program(binary: &str, name: &str) -> PathBuf {
    let path = Path::new(binary).with_file_name(name);
    assert!(path.is_file(), "there is no `{name}`: run `cargo build --workspace --bins` first");
    path
}

/// A built component: `search`, `content`, `probe`, the example `dice`, or a marked build such as `marked/search`. `binary`
/// is one of the calling test's own programs.
///
/// # Panics
///
/// When it was not built.
pub fn component(binary: &str, name: &str) -> PathBuf {
    let shipped = root().join("plugins").join(format!("{name}.wasm"));
    // Next to the programs, wherever the target directory is.
    let target = Path::new(binary).ancestors().nth(2).unwrap();
    let built =
        ["guests", "examples"].map(|folder| target.join(folder).join(format!("{name}.wasm")));
    let found = std::iter::once(shipped).chain(built).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no component `{name}`: run `cargo xtask build-plugins --tests`")
    })
}
