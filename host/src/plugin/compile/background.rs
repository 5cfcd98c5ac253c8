//! Threads for long work, with a lower priority than running tasks.

/// The niceness of these threads. A thread of a running task gets about nine tenths of a core that both want, so the
/// work still ends.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work` on its own thread. A panic becomes an error, which refuses the file.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> wasmtime::Result<T> + Send + 'static,
) -> wasmtime::Result<T> {
    let (sender, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("compile".to_owned()).spawn(move || {
        lower_priority();
        let _ = sender.send(work()); // The caller may have been dropped.
    })?;
    result.await.unwrap_or_else(|_panicked| {
        Err(wasmtime::Error::msg("the compiler panicked; see standard error"))
    })
}

/// Lowers the priority of the calling thread. Otherwise a compile slows tasks down on a machine with few cores.
pub(crate) fn lower_priority() {
    #[cfg(target_os = "linux")]
    // Linux sets the niceness per thread. Should this fail, tasks are slower during a swap, and that is all.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}
