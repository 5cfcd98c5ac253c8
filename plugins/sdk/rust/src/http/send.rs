//! Sends requests over `wasi:http`.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme, http_error_code,
};
use wasip2::io::streams::StreamError;

use super::message::{HttpError, Request, Response, split};

/// The interface takes no more in one call.
const WRITTEN_AT_ONCE: usize = 4_096;
const READ_AT_ONCE: u64 = 64 << 10;

/// Starts all, then reads one after the other.
pub(crate) fn send_all(requests: &[Request]) -> Vec<Result<Response, HttpError>> {
    let pending: Vec<_> = requests.iter().map(start).collect();
    pending.into_iter().map(|pending| finish(&pending?)).collect()
}

fn start(asked: &Request) -> Result<FutureIncomingResponse, HttpError> {
    let (https, authority, path) = split(&asked.url).ok_or(HttpError::Address)?;
    let headers = asked.headers.iter();
    let headers: Vec<(String, Vec<u8>)> =
        headers.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let fields = Fields::from_list(&headers).map_err(|_invalid| HttpError::Address)?;
    let request = OutgoingRequest::new(fields);
    let scheme = if https { Scheme::Https } else { Scheme::Http };
    let path = if path.is_empty() { "/" } else { path };
    request
        .set_method(&method(asked.method))
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)))
        .map_err(|()| HttpError::Address)?;
    let body = if asked.body.is_empty() {
        None
    } else {
        Some(request.body().map_err(|()| HttpError::Unreachable)?)
    };
    let options = RequestOptions::new();
    let nanoseconds = u64::from(asked.timeout_ms).saturating_mul(1_000_000);
    // A host that ignores this limit has its own.
    let _ = options.set_first_byte_timeout(Some(nanoseconds));
    let pending =
        outgoing_handler::handle(request, Some(options)).map_err(|code| classify(&code))?;
    if let Some(body) = body {
        let stream = body.write().map_err(|()| HttpError::Unreachable)?;
        for part in asked.body.chunks(WRITTEN_AT_ONCE) {
            stream.blocking_write_and_flush(part).map_err(|_closed| HttpError::Unreachable)?;
        }
        drop(stream);
        OutgoingBody::finish(body, None).map_err(|code| classify(&code))?;
    }
    Ok(pending)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn finish(pending: &FutureIncomingResponse) -> Result<Response, HttpError> {
    pending.subscribe().block();
    let answer = match pending.get() {
        Some(Ok(Ok(answer))) => answer,
        Some(Ok(Err(code))) => return Err(classify(&code)),
        Some(Err(())) | None => return Err(HttpError::Unreachable),
    };
    let headers = answer
        .headers()
        .entries()
        .into_iter()
        .filter_map(|(name, value)| {
            Some((name.to_ascii_lowercase(), String::from_utf8(value).ok()?))
        })
        .collect();
    let status = answer.status();
    let body = answer.consume().map_err(|()| HttpError::Unreachable)?;
    let stream = body.stream().map_err(|()| HttpError::Unreachable)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_AT_ONCE) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                let code = http_error_code(&error);
                return Err(code.map_or(HttpError::Unreachable, |code| classify(&code)));
            }
        }
    }
    Ok(Response { status, headers, body: bytes })
}

fn classify(code: &ErrorCode) -> HttpError {
    match code {
        ErrorCode::HttpRequestDenied => HttpError::Denied,
        ErrorCode::DestinationIpProhibited => HttpError::Private,
        ErrorCode::ConnectionLimitReached => HttpError::TooMany,
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => HttpError::Timeout,
        ErrorCode::HttpResponseBodySize(_) => HttpError::TooLarge,
        ErrorCode::HttpRequestUriInvalid => HttpError::Address,
        _ => HttpError::Unreachable,
    }
}
