//! A plugin's HTTP client: allow-list, address filter, limits, and the secret headers that the host adds.
//!
//! A request passes two filters: its origin must be granted, and the addresses of its host must be public, unless the
//! operator granted a literal address. The connection is made to a checked address; the name is not resolved again.
//! Redirects are not followed: a plugin that follows one sends a new request, which is checked again.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use http::HeaderValue;
use http::header::HeaderName;
use http_body_util::{BodyExt, Limited, StreamBody};
use ops::trace::{self, Span};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody};

use crate::grants::address::is_public;
use crate::grants::{NetGrants, Origin};
use crate::metrics;
use crate::plugin_config::{Limits, SecretHeader};
use crate::sandbox::limits::{Breaches, Limit};
use crate::spans;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_IDLE_CONNECTIONS: usize = 16;
/// Idle connections are closed after this: a firewall may have dropped them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The trace of a request (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What other servers are told of a trace. A plugin knows its trace, and does not decide who else does.
const TRACE_HEADERS: [HeaderName; 3] =
    [TRACEPARENT, HeaderName::from_static("tracestate"), HeaderName::from_static("baggage")];

/// A plugin version's HTTP client, with its own pool of connections.
#[derive(Debug)]
pub(crate) struct HttpClient {
    grants: Arc<NetGrants>,
    secrets: Vec<SecretHeader>,
    client: reqwest::Client,
    pub(super) limits: Limits,
    pub(super) plugin: String,
}

impl HttpClient {
    pub(crate) fn new(
        plugin: &str,
        grants: NetGrants,
        secrets: Vec<SecretHeader>,
        limits: Limits,
    ) -> Result<Self, String> {
        Self::with_idle_timeout(plugin, grants, secrets, limits, IDLE_TIMEOUT)
    }

    fn with_idle_timeout(
        plugin: &str,
        grants: NetGrants,
        secrets: Vec<SecretHeader>,
        limits: Limits,
        idle_timeout: Duration,
    ) -> Result<Self, String> {
        let grants = Arc::new(grants);
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(limits.wall)
            .timeout(limits.wall)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .pool_idle_timeout(idle_timeout)
            .dns_resolver(Arc::new(PublicResolver { grants: Arc::clone(&grants) }))
            .build()
            .map_err(|error| format!("no HTTP client: {error}"))?;
        Ok(Self { grants, secrets, client, limits, plugin: plugin.to_owned() })
    }

    /// Checks the origin of a request, before its name is resolved.
    pub(super) fn check(&self, url: &Url) -> Result<Origin, HttpError> {
        let origin = Origin::of(url).ok_or(HttpError::HttpRequestUriInvalid)?;
        if !self.grants.allows(&origin) {
            tracing::warn!(
                plugin = self.plugin, peer = %origin,
                "plugin request refused: not granted; to allow it, add the peer to `net` in the plugin's settings file"
            );
            return Err(HttpError::HttpRequestDenied);
        }
        if let Some(address) = origin.literal()
            && !is_public(address)
            && !self.grants.private_by_name(origin.host())
        {
            return Err(HttpError::DestinationIpProhibited);
        }
        Ok(origin)
    }

    pub(super) async fn send(
        &self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        breaches: Breaches,
        last: &LastRequest,
    ) -> Result<http::Response<WasiBody>, HttpError> {
        // TRACE returns the request's headers, including secrets; CONNECT bypasses the allow-list.
        // Some servers ignore the case of a method.
        let method = request.method().clone();
        let is_refused = |refused: &&str| method.as_str().eq_ignore_ascii_case(refused);
        if ["TRACE", "CONNECT"].iter().any(is_refused) {
            return Err(HttpError::HttpRequestMethodInvalid);
        }
        // The URL that is checked is the one that is sent.
        let url = Url::parse(&request.uri().to_string());
        let url = url.map_err(|_invalid| HttpError::HttpRequestUriInvalid)?;
        let origin = self.check(&url)?;
        let (parts, body) = request.into_parts();
        let limit = self.limits.http_request_bytes;
        let body = Limited::new(body, limit).collect().await.map_err(|_too_large| {
            breaches.note(Limit::RequestBody);
            HttpError::HttpRequestBodySize(Some(limit as u64))
        })?;
        let mut headers = parts.headers;
        let mut span = spans::request(method.as_str(), &origin);
        self.tell_trace(&span, &origin, &mut headers);
        for secret in self.secrets.iter().filter(|secret| secret.origin == origin) {
            headers.insert(secret.header.clone(), secret.value.expose().clone());
        }
        let first_byte = options.and_then(|options| options.first_byte_timeout);
        let wait = first_byte.unwrap_or(self.limits.wall).min(self.limits.wall);
        let began = Instant::now();
        let sent = self
            .client
            .request(parts.method, url)
            .headers(headers)
            .body(body.to_bytes())
            .timeout(wait)
            .send()
            .await;
        match sent {
            Ok(response) => {
                let status = response.status();
                metrics::http_answered(&self.plugin, status, began.elapsed());
                span.set("http.response.status_code", i64::from(status.as_u16()));
                if last.note_status(&origin, status) {
                    span.fail(status.as_str());
                }
                Ok(self.limited_response(response, breaches))
            }
            Err(error) => {
                let error = self.classify(&error);
                last.note(Some(format!("{origin} gave no answer: {}", failure(&error))));
                span.fail(failure(&error));
                Err(error)
            }
        }
    }

    /// Tells the server which trace the request is a part of, if the operator wants that, and nothing of it otherwise.
    fn tell_trace(&self, span: &Span, origin: &Origin, headers: &mut http::HeaderMap) {
        for name in TRACE_HEADERS {
            headers.remove(name);
        }
        // Without a task there is no trace that anybody could look up.
        if self.grants.is_traced(origin)
            && trace::parent().is_some()
            && let Ok(value) = HeaderValue::try_from(span.context().traceparent())
        {
            headers.insert(TRACEPARENT, value);
        }
    }

    fn limited_response(
        &self,
        response: reqwest::Response,
        breaches: Breaches,
    ) -> http::Response<WasiBody> {
        let limit = self.limits.http_response_bytes;
        let status = response.status();
        let headers = response.headers().clone();
        let mut seen = 0_usize;
        let frames = response.bytes_stream().map(move |chunk| {
            let chunk: Bytes = chunk.map_err(|error| {
                if error.is_timeout() {
                    HttpError::ConnectionReadTimeout
                } else {
                    HttpError::HttpResponseIncomplete
                }
            })?;
            seen = seen.saturating_add(chunk.len());
            if seen > limit {
                breaches.note(Limit::ResponseBody);
                return Err(HttpError::HttpResponseBodySize(Some(limit as u64)));
            }
            Ok(http_body::Frame::data(chunk))
        });
        let mut answer = http::Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        answer
    }

    /// Maps the error for the guest. The URL is not logged: it may hold what a person typed.
    fn classify(&self, error: &reqwest::Error) -> HttpError {
        let is_prohibited =
            std::iter::successors(std::error::Error::source(error), |cause| cause.source())
                .any(<dyn std::error::Error>::is::<NotPublic>);
        if is_prohibited {
            tracing::warn!(
                plugin = self.plugin,
                "plugin request refused: the peer's address is not public"
            );
            return HttpError::DestinationIpProhibited;
        }
        if error.is_timeout() {
            HttpError::HttpResponseTimeout
        } else if error.is_connect() {
            HttpError::ConnectionRefused
        } else {
            HttpError::HttpProtocolError
        }
    }
}

/// The code of a request that got no answer, for its trace.
pub(super) fn failure(error: &HttpError) -> &'static str {
    match error {
        HttpError::DestinationIpProhibited => "address-not-public",
        HttpError::HttpResponseTimeout => "timeout",
        HttpError::ConnectionRefused => "not-connected",
        _ => "protocol-error",
    }
}

/// Resolves names to the addresses that may be reached.
#[derive(Debug)]
struct PublicResolver {
    grants: Arc<NetGrants>,
}

/// All addresses of a granted host are addresses that plugins may not reach.
#[derive(Debug, thiserror::Error)]
#[error("the host's address is not public")]
struct NotPublic;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.grants.private_by_name(name.as_str());
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|found| private || is_public(ip(found))).collect();
            if allowed.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn ip(address: &SocketAddr) -> IpAddr {
    address.ip()
}

/// Whether a request that failed was sent, as [`HttpClient::send`] names its failures.
pub(super) fn was_sent(error: &HttpError) -> bool {
    matches!(
        error,
        HttpError::HttpResponseTimeout
            | HttpError::ConnectionRefused
            | HttpError::HttpProtocolError
    )
}

/// How the last request ended, if it failed: its server and the status, without path and query, which may hold what a
/// person typed.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastRequest(Arc<Mutex<Option<String>>>);

impl LastRequest {
    pub(super) fn note(&self, failure: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Notes an answer. Whether it tells of a failure.
    pub(super) fn note_status(&self, origin: &Origin, status: http::StatusCode) -> bool {
        let is_failure = status.is_client_error() || status.is_server_error();
        self.note(is_failure.then(|| format!("{origin} answered {}", status.as_u16())));
        is_failure
    }

    /// For an operator.
    pub(crate) fn failure(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
