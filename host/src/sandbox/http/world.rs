//! Requests of a task that a case answers, or that are recorded for one.

use http_body_util::{BodyExt, Full};
use reqwest::Url;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody};

use super::client::{HttpClient, LastRequest, failure};
use crate::replay::case::{Content, Exchange};
use crate::replay::world::World;
use crate::sandbox::limits::{Breaches, Limit};

/// Headers of answers that a recording leaves out: they are for one session.
const NOT_RECORDED: &[http::HeaderName] = &[http::header::SET_COOKIE];

/// As [`HttpClient::send`], where a case may answer.
pub(super) async fn send(
    world: &World,
    client: &HttpClient,
    request: http::Request<WasiBody>,
    options: Option<RequestOptions>,
    breaches: Breaches,
    last: &LastRequest,
) -> Result<http::Response<WasiBody>, HttpError> {
    let method = request.method().to_string();
    let url = request.uri().to_string();
    match world.answer(&method, &url) {
        Some(answer) => replay(client, &url, answer, &breaches, last),
        None => {
            let exchange = Exchange {
                method,
                url,
                status: None,
                headers: std::collections::BTreeMap::new(),
                body: Content::default(),
                error: None,
            };
            let sent = client.send(request, options, breaches, last).await;
            record(world, exchange, sent).await
        }
    }
}

/// Reads an answer whole, writes it down, and hands it on.
async fn record(
    world: &World,
    mut exchange: Exchange,
    sent: Result<http::Response<WasiBody>, HttpError>,
) -> Result<http::Response<WasiBody>, HttpError> {
    let read = match sent {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            body.collect().await.map(|body| (parts, body.to_bytes()))
        }
        Err(error) => Err(error),
    };
    match &read {
        Ok((parts, body)) => {
            exchange.status = Some(parts.status.as_u16());
            let headers = parts.headers.iter().filter(|(name, _)| !NOT_RECORDED.contains(name));
            let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).ok();
            exchange.headers = headers
                .filter_map(|(name, value)| Some((name.to_string(), text(value)?)))
                .collect();
            exchange.body = Content::of(body);
        }
        Err(error) => exchange.error = Some(failure(error).to_owned()),
    }
    world.note(exchange);
    let (parts, body) = read?;
    Ok(http::Response::from_parts(parts, whole(body)))
}

/// The answer of a case. Grants and limits hold as for a real one.
fn replay(
    client: &HttpClient,
    url: &str,
    answer: Result<Exchange, String>,
    breaches: &Breaches,
    last: &LastRequest,
) -> Result<http::Response<WasiBody>, HttpError> {
    let url = Url::parse(url).map_err(|_invalid| HttpError::HttpRequestUriInvalid)?;
    let origin = client.check(&url)?;
    let exchange = answer.map_err(|request| {
        tracing::warn!(request, "the case has no answer to this request");
        last.note(Some(format!("{origin} gave no answer: not in the case")));
        HttpError::ConnectionRefused
    })?;
    if let Some(error) = &exchange.error {
        let error = by_name(error);
        last.note(Some(format!("{origin} gave no answer: {}", failure(&error))));
        return Err(error);
    }
    // A case is checked when it is read.
    let body = exchange.body.bytes().map_err(|_not_base64| HttpError::HttpProtocolError)?;
    let limit = client.limits.http_response_bytes;
    if body.len() > limit {
        breaches.note(Limit::ResponseBody);
        return Err(HttpError::HttpResponseBodySize(Some(limit as u64)));
    }
    let mut response = http::Response::builder().status(exchange.status.unwrap_or(200));
    for (name, value) in &exchange.headers {
        response = response.header(name, value);
    }
    let response = response
        .body(whole(body.into()))
        .map_err(|_invalid_header| HttpError::HttpProtocolError)?;
    last.note_status(&origin, response.status());
    Ok(response)
}

fn whole(bytes: bytes::Bytes) -> WasiBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// The reverse of [`failure`].
fn by_name(error: &str) -> HttpError {
    match error {
        "timeout" => HttpError::HttpResponseTimeout,
        "not-connected" => HttpError::ConnectionRefused,
        "address-not-public" => HttpError::DestinationIpProhibited,
        _ => HttpError::HttpProtocolError,
    }
}
