//! What a registry asks for before it answers: nothing, a password, or a token from a server that it names.
//!
//! The client library can do this too, but it reads the token server's answer without a limit and writes it to its log.

use http::header::WWW_AUTHENTICATE;
use http_auth::ChallengeRef;
use oci_client::secrets::RegistryAuth;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use super::address::Address;
use super::bounded;
use super::credentials::Credentials;
use super::error::RegistryError;

/// Largest answer of a token server, in bytes. Tokens have 2 to 8 KiB.
const TOKEN_BYTES: usize = 64 << 10;

/// A token server's answer. Docker's documentation has the first name, OAuth the second.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

/// How to sign requests for `actions`, which are `pull` or `pull,push`.
pub(super) async fn authorize(
    http: &Client,
    address: &Address,
    credentials: Option<Credentials>,
    actions: &str,
) -> Result<RegistryAuth, RegistryError> {
    let registry = address.registry();
    let no_answer = |source: reqwest::Error| RegistryError::Request {
        registry: registry.to_owned(),
        request: "the first request",
        source: source.without_url(),
    };
    let answer = http.get(address.base()).send().await.map_err(no_answer)?;
    if answer.status() != StatusCode::UNAUTHORIZED {
        // A registry without `/v2/` says so in the next answer, where it is known what was wanted.
        return Ok(RegistryAuth::Anonymous);
    }
    let challenge = |problem: &str| RegistryError::Challenge {
        registry: registry.to_owned(),
        problem: problem.to_owned(),
    };
    let headers: Vec<&str> = answer
        .headers()
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .collect();
    let challenges: Vec<ChallengeRef<'_>> = headers
        .iter()
        .filter_map(|header| http_auth::parse_challenges(header).ok())
        .flatten()
        .collect();
    let with = |scheme: &str| {
        challenges.iter().find(|challenge| challenge.scheme.eq_ignore_ascii_case(scheme))
    };
    if let Some(bearer) = with("Bearer") {
        let parameter = |wanted: &str| {
            let found = bearer.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.to_unescaped())
        };
        let realm = parameter("realm").unwrap_or_default();
        let mut realm: Url =
            realm.parse().map_err(|_quotes| challenge("its token server has no usable address"))?;
        // The password would travel in the clear although the registry itself is reached over TLS.
        if realm.scheme() != "https" && !address.is_plain() {
            return Err(challenge("its token server is not reached over HTTPS"));
        }
        let scope = format!("repository:{}:{actions}", address.repository());
        realm.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = parameter("service") {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        return token(http, realm, credentials, registry).await;
    }
    if with("Basic").is_none() {
        return Err(challenge("it names neither Basic nor Bearer"));
    }
    let Some(credentials) = credentials else {
        return Err(RegistryError::NoPassword { registry: registry.to_owned() });
    };
    Ok(RegistryAuth::Basic(credentials.user, credentials.password.expose().clone()))
}

async fn token(
    http: &Client,
    realm: Url,
    credentials: Option<Credentials>,
    registry: &str,
) -> Result<RegistryAuth, RegistryError> {
    let request = "the request for a token";
    let no_answer = |source: reqwest::Error| RegistryError::Request {
        registry: registry.to_owned(),
        request,
        source: source.without_url(),
    };
    let mut asking = http.get(realm);
    let anonymous = credentials.is_none();
    if let Some(Credentials { user, password }) = credentials {
        asking = asking.basic_auth(user, Some(password.expose()));
    }
    let answer = asking.send().await.map_err(no_answer)?;
    let status = answer.status();
    if status != StatusCode::OK {
        if anonymous && matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(RegistryError::NoPassword { registry: registry.to_owned() });
        }
        // Its words are left out: a server may repeat what it was sent.
        return Err(RegistryError::Refused {
            registry: registry.to_owned(),
            request,
            status: status.as_u16(),
            said: String::new(),
        });
    }
    let body = bounded::body(answer, TOKEN_BYTES).await.map_err(no_answer)?;
    let body = body.ok_or(RegistryError::TooLarge {
        what: "token server's answer",
        limit: TOKEN_BYTES as u64,
    })?;
    let challenge = |problem: &str| RegistryError::Challenge {
        registry: registry.to_owned(),
        problem: problem.to_owned(),
    };
    let answer: TokenAnswer = serde_json::from_slice(&body)
        .map_err(|_quotes| challenge("the answer of its token server cannot be read"))?;
    let token = answer.token.or(answer.access_token).unwrap_or_default();
    // The client library puts it into a header, and panics when that cannot be done.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(challenge("its token server gave no usable token"));
    }
    Ok(RegistryAuth::Bearer(token))
}
