//! What each request has to pass: the host name, the session, and for a change the origin, the CSRF token and the role.
//!
//! The host name is checked because of DNS rebinding: a page of a stranger may give its own name the address 127.0.0.1, and
//! would then be of the same origin as the dashboard.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Form, FromRequest, FromRequestParts, Request, State as Shared};
use axum::http::header::{self, HeaderName};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::sessions::{SESSION, Viewer, same};
use super::settings::DashboardConfig;
use super::state::State;

/// The session's cookie.
const COOKIE: &str = "freefans_admin";
/// Nothing from elsewhere, nothing inline, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Longest handling of a request, with the reading of its form. What Redis is asked has shorter limits of its own.
const REQUEST_AT_MOST: Duration = Duration::from_secs(30);

/// The first thing that each request meets.
pub(super) async fn check(
    Shared(state): Shared<Arc<State>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = match refusal(&state, &mut request) {
        Some(refusal) => refusal,
        None => match tokio::time::timeout(REQUEST_AT_MOST, next.run(request)).await {
            Ok(response) => response,
            Err(_) => (StatusCode::GATEWAY_TIMEOUT, "This took too long.\n").into_response(),
        },
    };
    secure(response.headers_mut());
    response
}

fn refusal(state: &State, request: &mut Request) -> Option<Response> {
    let headers = request.headers();
    if !host(request).is_some_and(|host| is_known(&state.config, host)) {
        let text = "This name is not the dashboard's. Open it by its address, or name it with ADMIN_HOST.\n";
        return Some((StatusCode::MISDIRECTED_REQUEST, text).into_response());
    }
    if request.method() != Method::GET && !is_own_origin(headers) {
        return Some(
            (StatusCode::FORBIDDEN, "The request came from another page.\n").into_response(),
        );
    }
    let path = request.uri().path();
    let viewer = state.viewer(session(headers));
    let is_public = path == "/login" || path.starts_with("/assets/");
    let is_page = request.method() == Method::GET && !path.starts_with("/events/");
    match viewer {
        Some(viewer) => {
            request.extensions_mut().insert(viewer);
            None
        }
        None if is_public => None,
        None if is_page => Some(Redirect::to("/login").into_response()),
        None => Some((StatusCode::UNAUTHORIZED, "The session has ended.\n").into_response()),
    }
}

fn secure(headers: &mut HeaderMap) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// The host that the request is for, with its port.
fn host(request: &Request) -> Option<&str> {
    match request.headers().get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => request.uri().authority().map(axum::http::uri::Authority::as_str),
    }
}

/// A host without its port; an IPv6 address without its brackets.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

/// Names of this machine, the address that is listened on, and what the operator has named. The port is not compared: a
/// tunnel may have another one.
fn is_known(config: &DashboardConfig, host: &str) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    if name == "localhost" || config.hosts.contains(&name) {
        return true;
    }
    let Ok(address) = name.parse::<IpAddr>() else { return false };
    // A name that is an address cannot be rebound. Where all addresses are listened on, each of them may be meant.
    let listen = config.listen.ip();
    address.is_loopback() || address == listen || listen.is_unspecified()
}

/// Whether a change may come from a page of this dashboard. Browsers say from where it comes: with `Sec-Fetch-Site` where the
/// connection is encrypted or local, and with `Origin`, which is `null` in our own forms because of the policy
/// `no-referrer`. Where both say nothing, the CSRF token decides.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text(&HeaderName::from_static("sec-fetch-site"))
        && site != "same-origin"
    {
        return false;
    }
    match text(&header::ORIGIN) {
        None | Some("null") => true,
        // The scheme is left out: a proxy may have taken the encryption away.
        Some(origin) => {
            let host = text(&header::HOST).unwrap_or_default();
            origin.split_once("://").is_some_and(|(_, named)| named.eq_ignore_ascii_case(host))
        }
    }
}

fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The header that gives a browser its session, or takes it away.
pub(super) fn cookie(id: Option<&str>, headers: &HeaderMap) -> String {
    let seconds = if id.is_some() { SESSION.as_secs() } else { 0 };
    let encrypted = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let secure = if encrypted { "; Secure" } else { "" };
    let id = id.unwrap_or_default();
    format!("{COOKIE}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// The address that a request came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address(pub(super) Option<IpAddr>);

impl Address {
    fn of(extensions: &Extensions) -> Self {
        let connected = extensions.get::<ConnectInfo<SocketAddr>>();
        Self(connected.map(|from| from.0.ip().to_canonical()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// A form of one of our own pages, from somebody who is logged in.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) viewer: Viewer,
    pub(super) from: Address,
    fields: HashMap<String, String>,
}

type Rejection = (StatusCode, &'static str);

impl FromRequest<Arc<State>> for Signed {
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Rejection> {
        let viewer = request.extensions().get::<Viewer>().cloned();
        let viewer = viewer.ok_or((StatusCode::UNAUTHORIZED, "The session has ended.\n"))?;
        let from = Address::of(request.extensions());
        let form = Form::<HashMap<String, String>>::from_request(request, state).await;
        let Ok(Form(fields)) = form else {
            return Err((StatusCode::BAD_REQUEST, "The form cannot be read.\n"));
        };
        let presented = fields.get("csrf").map(String::as_str).unwrap_or_default();
        if !same(presented, &viewer.csrf) {
            return Err((StatusCode::FORBIDDEN, "The form is too old. Open the page again.\n"));
        }
        Ok(Self { viewer, from, fields })
    }
}

/// A change that somebody asks for, who may make it.
#[derive(Debug)]
pub(super) struct Asked(Signed);

impl Asked {
    /// A field of the form; empty when it is absent.
    pub(super) fn field(&self, name: &str) -> &str {
        self.0.fields.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The fields of the form.
    pub(super) fn fields(&self) -> &HashMap<String, String> {
        &self.0.fields
    }

    /// Who asks.
    pub(super) fn viewer(&self) -> &Viewer {
        &self.0.viewer
    }

    /// From where.
    pub(super) fn from(&self) -> Address {
        self.0.from
    }
}

impl FromRequest<Arc<State>> for Asked {
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Rejection> {
        let signed = Signed::from_request(request, state).await?;
        if !signed.viewer.is_admin() {
            return Err((StatusCode::FORBIDDEN, "Your token allows looking, not changing.\n"));
        }
        Ok(Self(signed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::settings::Tokens;

    fn known(listen: &str, hosts: &[&str], host: &str) -> bool {
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        let listen = listen.parse().unwrap();
        is_known(&DashboardConfig { listen, tokens: Tokens::default(), hosts }, host)
    }

    #[test]
    fn a_stranger_s_name_for_our_address_is_refused() {
        let here = "127.0.0.1:8080";
        for host in ["127.0.0.1:8080", "localhost:9000", "LOCALHOST", "[::1]:8080", "127.0.0.1"] {
            assert!(known(here, &[], host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1:8080",
            "",
            "[",
        ] {
            assert!(!known(here, &[], host), "{host}");
        }
        assert!(known(here, &["dash.example"], "Dash.Example:443"));
        assert!(known("0.0.0.0:8080", &[], "10.0.0.1:8080"));
        assert!(!known("0.0.0.0:8080", &[], "evil.example"));
    }

    fn own(headers: &[(&'static str, &'static str)]) -> bool {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        is_own_origin(&headers.iter().map(pair).collect())
    }

    #[test]
    fn a_change_comes_from_our_own_page() {
        let host = ("host", "127.0.0.1:8080");
        assert!(own(&[host]), "no browser");
        assert!(own(&[host, ("origin", "http://127.0.0.1:8080")]));
        assert!(own(&[
            host,
            ("origin", "https://127.0.0.1:8080"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(own(&[host, ("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!own(&[host, ("origin", "null"), ("sec-fetch-site", "cross-site")]));
        for strange in ["http://127.0.0.1:9999", "http://evil.example", "127.0.0.1:8080"] {
            assert!(!own(&[host, ("origin", strange)]), "{strange}");
        }
        for site in ["cross-site", "same-site", "none"] {
            assert!(!own(&[host, ("sec-fetch-site", site)]), "{site}");
        }
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(session(&headers), None);
        let value = HeaderValue::from_static("a=b; freefans_admin=xyz; freefans_admin2=no");
        headers.insert(header::COOKIE, value);
        assert_eq!(session(&headers), Some("xyz"));
        assert!(cookie(Some("xyz"), &headers).contains("HttpOnly; SameSite=Strict"));
        assert!(cookie(None, &headers).contains("Max-Age=0"));
    }
}
