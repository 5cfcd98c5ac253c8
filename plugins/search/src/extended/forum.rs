//! Requests to the forum, within the time that one answer may take.

use std::time::Duration;

use freefans_plugin::http::{HttpError, Request, Response};

use super::settings::Settings;

/// Sends all requests at once and returns the answers in the same order.
pub(super) type Send<'a> = &'a mut dyn FnMut(&[Request]) -> Vec<Result<Response, HttpError>>;

/// A forum, with its settings and the time used so far.
pub(super) struct Forum<'a> {
    pub(super) settings: &'a Settings,
    pub(super) send: Send<'a>,
    pub(super) elapsed: &'a dyn Fn() -> Duration,
}

impl Forum<'_> {
    /// A request for a path of the forum. All requests for one answer share one time limit, so that together they do not
    /// outlast the task.
    pub(super) fn get(&self, path: &str) -> Request {
        let elapsed = u32::try_from((self.elapsed)().as_millis()).unwrap_or(u32::MAX);
        // A host may read 0 as no limit.
        let left = self.settings.timeout_ms.saturating_sub(elapsed).max(1);
        Request::get(self.settings.base.at(path)).timeout_ms(left)
    }

    /// One request's answer.
    pub(super) fn ask(&mut self, request: Request) -> Result<Response, HttpError> {
        (self.send)(&[request]).pop().unwrap_or(Err(HttpError::Unreachable))
    }
}
