//! Requests to the forum, within the time that one answer may take.

use std::time::Duration;

use kit::http::{HttpError, Request, Response};

use super::settings::Settings;

/// Sends all requests at once and gives the answers in their order.
pub(super) type Send<'a> = &'a mut dyn FnMut(&[Request]) -> Vec<Result<Response, HttpError>>;

/// A forum that is asked: its settings, the way to it, and the time that it has left.
pub(super) struct Forum<'a> {
    pub(super) settings: &'a Settings,
    pub(super) send: Send<'a>,
    pub(super) elapsed: &'a dyn Fn() -> Duration,
}

impl Forum<'_> {
    /// A request for a path behind the forum's address. All requests for one answer share the time: two that follow
    /// each other must not outlast the task.
    pub(super) fn get(&self, path: &str) -> Request {
        let elapsed = u32::try_from((self.elapsed)().as_millis()).unwrap_or(u32::MAX);
        // A host may take 0 for no limit at all.
        let left = self.settings.timeout_ms.saturating_sub(elapsed).max(1);
        Request::get(self.settings.base.at(path), left)
    }

    /// One request's answer.
    pub(super) fn ask(&mut self, request: Request) -> Result<Response, HttpError> {
        (self.send)(&[request]).pop().unwrap_or(Err(HttpError::Unreachable))
    }
}
