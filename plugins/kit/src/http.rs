//! Requests over `wasi:http`, several at once if needed.

mod wait;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The address.
    pub url: String,
    /// Header names and values, without secrets: the host adds those.
    pub headers: Vec<(&'static str, String)>,
    /// The body of a POST, `application/x-www-form-urlencoded`; none for a GET.
    pub form: Option<String>,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u32,
}

impl Request {
    /// A GET that asks for JSON.
    pub fn get(url: String, timeout_ms: u32) -> Self {
        let headers = vec![("accept", "application/json".to_owned())];
        Self { url, headers, form: None, timeout_ms }
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and values that are text.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// How long the service asks us to wait, in milliseconds, from its `Retry-After`.
    pub fn retry_after_ms(&self) -> Option<u64> {
        wait::milliseconds(self.header("retry-after")?, self.header("date"))
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The address does not parse.
    Address,
    /// The operator has not granted this host.
    Denied,
    /// The host is granted, but its name resolves to an address that is not public.
    Private,
    /// The task has sent the most requests that it may send.
    TooMany,
    /// It took too long.
    Timeout,
    /// The response is larger than the host allows.
    TooLarge,
    /// Anything else: no such host, connection refused, broken protocol.
    Unreachable,
}

/// Scheme, authority and path of an address.
#[cfg(any(test, target_family = "wasm"))]
fn split(url: &str) -> Option<(bool, &str, &str)> {
    let (https, rest) = match url.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, url.strip_prefix("http://")?),
    };
    let path = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(path)?;
    (!authority.is_empty()).then_some((https, authority, path))
}

/// Sends a GET request and reads the whole answer, as long as the task's own time lasts.
///
/// # Errors
///
/// [`HttpError`], by what the plugin can say about it.
#[cfg(target_family = "wasm")]
pub fn get(url: &str, headers: &[(&'static str, &str)]) -> Result<Response, HttpError> {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let request = Request { url: url.to_owned(), headers, form: None, timeout_ms: u32::MAX };
    finish(&start(&request)?)
}

/// Sends all requests at the same time. The responses are in the order of the requests, each with its own error.
#[cfg(target_family = "wasm")]
pub fn send_all(requests: &[Request]) -> Vec<Result<Response, HttpError>> {
    let pending: Vec<_> = requests.iter().map(start).collect();
    pending.into_iter().map(|pending| finish(&pending?)).collect()
}

#[cfg(target_family = "wasm")]
fn start(asked: &Request) -> Result<wasip2::http::types::FutureIncomingResponse, HttpError> {
    use wasip2::http::outgoing_handler;
    use wasip2::http::types::{
        Fields, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
    };

    let (https, authority, path) = split(&asked.url).ok_or(HttpError::Address)?;
    let mut list: Vec<(String, Vec<u8>)> = asked
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    if asked.form.is_some() {
        let form = b"application/x-www-form-urlencoded".to_vec();
        list.push(("content-type".to_owned(), form));
    }
    let fields = Fields::from_list(&list).map_err(|_invalid| HttpError::Address)?;
    let request = OutgoingRequest::new(fields);
    let scheme = if https { Scheme::Https } else { Scheme::Http };
    let method = if asked.form.is_some() { Method::Post } else { Method::Get };
    let path = if path.is_empty() { "/" } else { path };
    request
        .set_method(&method)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)))
        .map_err(|()| HttpError::Address)?;
    let form = match &asked.form {
        Some(form) => Some((form, request.body().map_err(|()| HttpError::Unreachable)?)),
        None => None,
    };
    let options = RequestOptions::new();
    let nanoseconds = u64::from(asked.timeout_ms).saturating_mul(1_000_000);
    // A host that ignores this limit has its own.
    let _ = options.set_first_byte_timeout(Some(nanoseconds));
    let pending =
        outgoing_handler::handle(request, Some(options)).map_err(|code| classify(&code))?;
    if let Some((form, body)) = form {
        let stream = body.write().map_err(|()| HttpError::Unreachable)?;
        // The interface takes no more in one call.
        for part in form.as_bytes().chunks(4_096) {
            stream.blocking_write_and_flush(part).map_err(|_closed| HttpError::Unreachable)?;
        }
        drop(stream);
        OutgoingBody::finish(body, None).map_err(|code| classify(&code))?;
    }
    Ok(pending)
}

#[cfg(target_family = "wasm")]
fn finish(pending: &wasip2::http::types::FutureIncomingResponse) -> Result<Response, HttpError> {
    use wasip2::io::streams::StreamError;

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
        match stream.blocking_read(64 << 10) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                return Err(code.map_or(HttpError::Unreachable, |code| classify(&code)));
            }
        }
    }
    Ok(Response { status, headers, body: bytes })
}

#[cfg(target_family = "wasm")]
fn classify(code: &wasip2::http::types::ErrorCode) -> HttpError {
    use wasip2::http::types::ErrorCode;
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

/// Percent-encodes a query value or path segment (RFC 3986: all but unreserved characters).
pub fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                encoded.extend(
                    char::from_digit(u32::from(digit), 16).map(|digit| digit.to_ascii_uppercase()),
                );
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(split("https://a.example/x?y=1"), Some((true, "a.example", "/x?y=1")));
        assert_eq!(split("http://127.0.0.1:8080"), Some((false, "127.0.0.1:8080", "")));
        assert_eq!(split("ftp://a"), None);
        assert_eq!(split("https:///x"), None);
    }

    #[test]
    fn everything_unusual_is_encoded() {
        assert_eq!(encode("a b&c=é"), "a%20b%26c%3D%C3%A9");
    }
}
