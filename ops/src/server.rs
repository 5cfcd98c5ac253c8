//! Health and metrics over HTTP: `/livez`, `/readyz`, `/healthz`, `/metrics`.
//!
//! `/livez` tells that the process is alive ([`crate::health`]), `/readyz` that what it needs is available; both name the
//! reasons when it is not, as text or, if the request accepts it, as JSON. `/healthz` only tells that the process responds.
//! `/metrics` is in Prometheus' text format.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::trace::export;

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

/// Collects metrics and serves on `address` until `shutdown`. `describe` describes the metrics. `ready` returns what is
/// missing, one text each. Returns the address, with the port in place of 0.
///
/// Call once per process, before anything is recorded.
///
/// # Errors
///
/// When the address cannot be listened on, or metrics are collected already.
pub async fn serve<C, F>(
    address: SocketAddr,
    describe: impl FnOnce(),
    health: Health,
    ready: C,
    shutdown: CancellationToken,
) -> anyhow::Result<SocketAddr>
where
    C: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Vec<String>> + Send,
{
    let metrics = collect()?;
    describe();
    export::describe();
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; name another address with --listen")
    })?;
    let local = listener.local_addr().context("cannot read the address")?;
    let ready = Arc::new(ready);
    let rendered = metrics.clone();
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/livez", get(move |headers: HeaderMap| async move { liveness(&health, &headers) }))
        .route(
            "/readyz",
            get(move |headers: HeaderMap| {
                let ready = Arc::clone(&ready);
                async move { readiness(&bounded(ready()).await, &headers) }
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

async fn bounded(checks: impl Future<Output = Vec<String>>) -> Vec<String> {
    let checked = tokio::time::timeout(CHECK_AT_MOST, checks).await;
    checked.unwrap_or_else(|_| vec![format!("no answer within {CHECK_AT_MOST:?}")])
}

fn readiness(missing: &[String], headers: &HeaderMap) -> Response {
    let body = json!({"ready": missing.is_empty(), "reasons": missing});
    answer("ready", missing, &body, headers)
}

fn liveness(health: &Health, headers: &HeaderMap) -> Response {
    let states = health.loops();
    let loops: Vec<Value> = states
        .iter()
        .map(|state| {
            let at_most = state.at_most.map(|at_most| at_most.as_secs());
            json!({"name": state.name, "turned_s_ago": state.turned_ago.as_secs(), "at_most_s": at_most})
        })
        .collect();
    let problems: Vec<String> = states.into_iter().filter_map(|state| state.problem).collect();
    let body = json!({"alive": problems.is_empty(), "reasons": problems, "loops": loops});
    answer("alive", &problems, &body, headers)
}

/// As JSON for those who accept it, else one line of text.
fn answer(word: &str, problems: &[String], body: &Value, headers: &HeaderMap) -> Response {
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.contains("application/json")) {
        return (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n"))
            .into_response();
    }
    let text = match problems {
        [] => format!("{word}\n"),
        problems => format!("not {word}: {}\n", problems.join("; ")),
    };
    (status, text).into_response()
}
