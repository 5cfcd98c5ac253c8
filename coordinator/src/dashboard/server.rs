//! Accepts connections, with the limits that `axum::serve` does not have: a time for the head of a request, an age for a
//! connection, and a number of connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Longest time for the head of a request, and for a connection without one.
const HEAD_AT_MOST: Duration = Duration::from_secs(30);
/// Oldest connection: one whose other side takes nothing would stay otherwise. Browsers open a new one.
const CONNECTION_AT_MOST: Duration = Duration::from_secs(3600);
/// Most connections: a browser opens six.
const MAX_CONNECTIONS: usize = 256;
/// Pause when no connection can be accepted, for instance because the process has too many files open.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves `app` on `listener` until `shutdown`. A page that is being read then is not waited for.
pub(super) async fn serve(listener: TcpListener, app: Router, shutdown: CancellationToken) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some(slot) = shutdown.run_until_cancelled(Arc::clone(&room).acquire_owned()).await {
        // Never closed.
        let Ok(slot) = slot else { return };
        let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await else { return };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(error = %error, "no connection to the dashboard accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let app = app.clone().layer(axum::Extension(ConnectInfo::<SocketAddr>(from)));
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_AT_MOST);
            let service = TowerToHyperService::new(app);
            let serving = builder.serve_connection(TokioIo::new(stream), service);
            let serving = shutdown.run_until_cancelled(serving);
            if let Ok(Some(Err(error))) = tokio::time::timeout(CONNECTION_AT_MOST, serving).await {
                // The other side has gone, or speaks something else.
                tracing::debug!(error = %error, "a connection to the dashboard broke");
            }
            drop(slot);
        });
    }
}
