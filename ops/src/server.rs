//! Health and metrics over HTTP: `/healthz`, `/readyz`, `/metrics`.
//!
//! `/healthz` tells that the process responds, `/readyz` that what it needs is available; `/metrics` is in Prometheus'
//! text format.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// A check that takes longer counts as failed.
const CHECK_AT_MOST: Duration = Duration::from_secs(2);
/// How often old samples of histograms are aggregated.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// From one millisecond, about the time of a search, to the two minutes that a task may live.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];

fn collect() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .context("cannot set the histogram's buckets")?
        .install_recorder()
        .context("metrics are collected already")
}

/// Collects metrics and serves on `address` until `shutdown`. `describe` describes the metrics. The error of `ready` is
/// what is missing. Returns the address, with the port in place of 0.
///
/// Call once per process, before anything is recorded.
///
/// # Errors
///
/// When the address cannot be listened on, or metrics are collected already.
pub async fn serve<C, F>(
    address: SocketAddr,
    describe: impl FnOnce(),
    ready: C,
    shutdown: CancellationToken,
) -> anyhow::Result<SocketAddr>
where
    C: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    let metrics = collect()?;
    describe();
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; name another address with --listen")
    })?;
    let local = listener.local_addr().context("cannot read the address")?;
    let ready = Arc::new(ready);
    let rendered = metrics.clone();
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(move || {
                let ready = Arc::clone(&ready);
                async move { readiness(ready().await_bounded().await) }
            }),
        )
        .route(
            "/metrics",
            get(move || async move {
                ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], rendered.render())
            }),
        );
    let stop = shutdown.clone();
    tokio::spawn(async move {
        // A running scrape is not worth waiting for.
        tokio::select! {
            served = async { axum::serve(listener, app).await } => if let Err(error) = served {
                tracing::error!(error = %error, "health and metrics server failed");
            },
            () = stop.cancelled() => {}
        }
    });
    tokio::spawn(async move {
        while shutdown.run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY)).await.is_some() {
            metrics.run_upkeep();
        }
    });
    tracing::info!(address = %local, "serving health and metrics");
    Ok(local)
}

trait Bounded: Future<Output = Result<(), String>> + Sized {
    async fn await_bounded(self) -> Result<(), String> {
        let checked = tokio::time::timeout(CHECK_AT_MOST, self).await;
        checked.unwrap_or_else(|_| Err(format!("no answer within {CHECK_AT_MOST:?}")))
    }
}

impl<F: Future<Output = Result<(), String>>> Bounded for F {}

fn readiness(checked: Result<(), String>) -> impl IntoResponse {
    match checked {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n")),
    }
}
