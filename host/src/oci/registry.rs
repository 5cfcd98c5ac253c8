//! One registry, for one plugin.
//!
//! Manifests are fetched here, because the client library reads one of any size. Blobs go through the library: it is given
//! a place with a limit to write to, and only the digest, so that it does not follow other addresses in the manifest.

use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError};
use oci_client::manifest::{
    IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use oci_client::secrets::RegistryAuth;
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;

use super::address::Address;
use super::artefact::MANIFEST_BYTES;
use super::bounded::{self, BoundedBuffer};
use super::credentials::Credentials;
use super::error::{RegistryError, shown};
use super::token;
use crate::digest::sha256_hex;

/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long a registry may be silent within an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// Redirects that are followed. Registries use one, to their storage.
const MAX_REDIRECTS: usize = 5;
/// Largest body of an error, in bytes.
const ERROR_BYTES: usize = 8 << 10;
/// The requests, by the words of errors.
const SETUP: &str = "the client's set-up";
const GET_MANIFEST: &str = "the request for the manifest";
const GET_COMPONENT: &str = "the request for the component";
const PUT_PART: &str = "the upload of a part";
const PUT_MANIFEST: &str = "the upload of the manifest";
const USER_AGENT: &str = concat!("freefans-worker/", env!("CARGO_PKG_VERSION"));

/// The body of an error, as far as it is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Errors {
    errors: Vec<ErrorMessage>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorMessage {
    message: String,
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    Pull,
    Push,
}

/// A registry that said how it wants to be asked.
pub(super) struct Registry {
    address: Address,
    http: reqwest::Client,
    auth: RegistryAuth,
    library: oci_client::Client,
    has_password: bool,
}

impl Registry {
    pub(super) async fn open(
        address: &Address,
        credentials: Option<Credentials>,
        access: Access,
    ) -> Result<Self, RegistryError> {
        let setup = |error: reqwest::Error| RegistryError::Client {
            registry: address.registry().to_owned(),
            request: SETUP,
            problem: shown(&error.to_string()),
        };
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIME)
            .read_timeout(SILENCE)
            .redirect(redirects())
            .build()
            .map_err(setup)?;
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let has_password = credentials.is_some();
        let auth = token::authorize(&http, address, credentials, actions).await?;
        let protocol =
            if address.is_plain() { ClientProtocol::Http } else { ClientProtocol::Https };
        let library = oci_client::Client::try_from(ClientConfig {
            protocol,
            user_agent: USER_AGENT,
            connect_timeout: Some(CONNECT_TIME),
            read_timeout: Some(SILENCE),
            ..ClientConfig::default()
        })
        .map_err(|error| failure(address, SETUP, error))?;
        library.store_auth_if_needed(address.reference().resolve_registry(), &auth).await;
        Ok(Self { address: address.clone(), http, auth, library, has_password })
    }

    /// The manifest and its digest, which is the one that was asked for if there was one.
    pub(super) async fn manifest(&self) -> Result<(Vec<u8>, String), RegistryError> {
        let no_answer = |source: reqwest::Error| RegistryError::Request {
            registry: self.address.registry().to_owned(),
            request: GET_MANIFEST,
            source: source.without_url(),
        };
        let url = format!(
            "{}{}/manifests/{}",
            self.address.base(),
            self.address.repository(),
            self.address.wanted()
        );
        // An index is asked for as well, to say so instead of "not found".
        let accept = [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE]
            .join(", ");
        let get = self.http.get(url).header(ACCEPT, accept);
        let get = match &self.auth {
            RegistryAuth::Anonymous => get,
            RegistryAuth::Basic(user, password) => get.basic_auth(user, Some(password)),
            RegistryAuth::Bearer(token) => get.bearer_auth(token),
        };
        let answer = get.send().await.map_err(no_answer)?;
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(GET_MANIFEST, answer).await);
        }
        let announced = answer.headers().get("docker-content-digest").cloned();
        let bytes = bounded::body(answer, MANIFEST_BYTES).await.map_err(no_answer)?;
        let bytes = bytes
            .ok_or(RegistryError::TooLarge { what: "manifest", limit: MANIFEST_BYTES as u64 })?;
        let found = format!("sha256:{}", sha256_hex(&bytes));
        let announced = announced.as_ref().and_then(|header| header.to_str().ok());
        let announced = announced.filter(|digest| digest.starts_with("sha256:"));
        for expected in self.address.digest().into_iter().chain(announced) {
            if expected != found {
                let expected = shown(expected);
                return Err(RegistryError::Digest { what: "manifest", expected, found });
            }
        }
        Ok((bytes, found))
    }

    /// The blob with this digest, which has `bytes` bytes.
    pub(super) async fn blob(&self, digest: &str, bytes: u64) -> Result<Vec<u8>, RegistryError> {
        let limit = usize::try_from(bytes).unwrap_or(usize::MAX);
        let library = self.library.clone();
        let reference = self.address.reference().clone();
        let wanted = digest.to_owned();
        let fetching = async move {
            let mut buffer = BoundedBuffer::new(limit);
            let pulled = library.pull_blob(&reference, wanted.as_str(), &mut buffer).await;
            (pulled, buffer.into_bytes())
        };
        let (pulled, found) = self.in_library(GET_COMPONENT, fetching).await?;
        match pulled {
            Err(OciDistributionError::IoError(error))
                if error.kind() == std::io::ErrorKind::FileTooLarge =>
            {
                Err(RegistryError::Size { expected: bytes, found: bytes.saturating_add(1) })
            }
            // Before the digest: it tells more of a transfer that was cut off.
            Ok(()) | Err(OciDistributionError::DigestError(_)) if found.len() < limit => {
                Err(RegistryError::Size { expected: bytes, found: found.len() as u64 })
            }
            Ok(()) => Ok(found),
            Err(error) => Err(self.failure(GET_COMPONENT, error)),
        }
    }

    /// Stores a blob under its digest.
    pub(super) async fn store_blob(&self, bytes: Vec<u8>) -> Result<(), RegistryError> {
        let library = self.library.clone();
        let reference = self.address.reference().clone();
        let storing = async move {
            let digest = format!("sha256:{}", sha256_hex(&bytes));
            library.push_blob(&reference, &bytes, &digest).await
        };
        let stored = self.in_library(PUT_PART, storing).await?;
        stored.map(drop).map_err(|error| self.failure(PUT_PART, error))
    }

    /// Stores the manifest under the address' tag.
    pub(super) async fn store_manifest(&self, bytes: Vec<u8>) -> Result<(), RegistryError> {
        let library = self.library.clone();
        let reference = self.address.reference().clone();
        let storing = async move {
            let media_type = HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
            library.push_manifest_raw(&reference, bytes, media_type).await
        };
        let stored = self.in_library(PUT_MANIFEST, storing).await?;
        stored.map(drop).map_err(|error| self.failure(PUT_MANIFEST, error))
    }

    /// Runs a call of the library in a task of its own: it panics on some answers, for instance an upload address that
    /// cannot be parsed.
    async fn in_library<T: Send + 'static>(
        &self,
        request: &'static str,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let task = AbortOnDropHandle::new(tokio::spawn(call));
        task.await.map_err(|_panic| RegistryError::Client {
            registry: self.address.registry().to_owned(),
            request,
            problem: "it sent an answer that cannot be used".to_owned(),
        })
    }

    async fn refusal(&self, request: &'static str, answer: Response) -> RegistryError {
        let status = answer.status().as_u16();
        let body = bounded::body(answer, ERROR_BYTES).await.ok().flatten().unwrap_or_default();
        self.explain(refused(&self.address, request, status, &words(&body)))
    }

    fn failure(&self, request: &'static str, error: OciDistributionError) -> RegistryError {
        self.explain(failure(&self.address, request, error))
    }

    /// Many registries give a token to everyone and then refuse private names.
    fn explain(&self, error: RegistryError) -> RegistryError {
        match error {
            RegistryError::Refused { registry, status: 401, .. } if !self.has_password => {
                RegistryError::NoPassword { registry }
            }
            error => error,
        }
    }
}

/// Redirects are followed to storage elsewhere, but not from HTTPS to HTTP. The client leaves the password out when the
/// host changes.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let was_https = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("it sends from one address to the next")
        } else if was_https && attempt.url().scheme() != "https" {
            attempt.error("it sends to an address without TLS")
        } else {
            attempt.follow()
        }
    })
}

/// The sentences in the body of an error; none when it is not in the registries' form.
fn words(body: &[u8]) -> String {
    let errors: Errors = serde_json::from_slice(body).unwrap_or_default();
    let said: Vec<String> = errors.errors.into_iter().map(|error| error.message).collect();
    said.join("; ")
}

fn refused(address: &Address, request: &'static str, status: u16, said: &str) -> RegistryError {
    let said = shown(said);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    RegistryError::Refused { registry: address.registry().to_owned(), request, status, said }
}

/// The library's errors in our words. Theirs have addresses with queries, and whole answers.
fn failure(address: &Address, request: &'static str, error: OciDistributionError) -> RegistryError {
    let registry = address.registry().to_owned();
    match error {
        OciDistributionError::DigestError(DigestError::VerificationError { expected, actual }) => {
            // One of them may be from a header.
            let expected = shown(&expected);
            let found = shown(&actual);
            RegistryError::Digest { what: "component", expected, found }
        }
        OciDistributionError::RequestError(source) => match source.status() {
            Some(status) => refused(address, request, status.as_u16(), ""),
            None => RegistryError::Request { registry, request, source: source.without_url() },
        },
        OciDistributionError::UnauthorizedError { .. } => refused(address, request, 401, ""),
        OciDistributionError::ServerError { code, message, .. } => {
            refused(address, request, code, &words(message.as_bytes()))
        }
        OciDistributionError::IoError(error) => {
            RegistryError::Client { registry, request, problem: error.kind().to_string() }
        }
        OciDistributionError::SpecViolationError(problem) => {
            RegistryError::Client { registry, request, problem: shown(&problem) }
        }
        _ => RegistryError::Client {
            registry,
            request,
            problem: "it sent an answer that cannot be used".to_owned(),
        },
    }
}
