//! Requests to other servers. The operator grants each with `net = ["https://host"]` under `[grants]`; the host adds secrets.

pub(crate) mod message;
#[cfg(target_family = "wasm")]
pub(crate) mod send;
mod wait;

pub use self::message::{HttpError, Request, Response, encode};

use crate::host;

impl Request {
    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    ///
    /// When there is no answer. One with any status is an answer: see [`Response::ok`].
    pub fn send(&self) -> Result<Response, HttpError> {
        send_all(std::slice::from_ref(self)).pop().unwrap_or(Err(HttpError::Unreachable))
    }
}

/// Sends all requests at the same time. The responses are in the order of the requests, each with its own error.
pub fn send_all(requests: &[Request]) -> Vec<Result<Response, HttpError>> {
    host::send_all(requests)
}
