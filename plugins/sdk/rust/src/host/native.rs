//! What a plugin reaches in a native test: what the test gives it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::kinds::{Level, NoData};
use crate::http::message::{HttpError, Request, Response};

/// Answers a request.
type Web = Box<dyn FnMut(&Request) -> Result<Response, HttpError>>;

/// Everything that can be reached, and what was left there.
#[derive(Default)]
pub(crate) struct Reach {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) data: BTreeMap<String, Vec<u8>>,
    pub(crate) cache: BTreeMap<String, Vec<u8>>,
    pub(crate) web: Option<Web>,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) progress: Vec<String>,
}

thread_local! {
    /// What is reached on this thread: tests run side by side.
    pub(crate) static REACH: RefCell<Reach> = RefCell::default();
}

pub(crate) fn log(level: Level, message: &str) {
    REACH.with_borrow_mut(|reach| reach.logs.push((level, message.to_owned())));
}

pub(crate) fn config(key: &str) -> Option<String> {
    REACH.with_borrow(|reach| reach.config.get(key).cloned())
}

pub(crate) fn progress(text: &str, _percent: Option<u8>) {
    REACH.with_borrow_mut(|reach| reach.progress.push(text.to_owned()));
}

pub(crate) fn data(name: &str) -> Result<Vec<u8>, NoData> {
    let found = REACH.with_borrow(|reach| reach.data.get(name).cloned());
    found.ok_or(NoData::NotGranted)
}

pub(crate) fn cache_get(key: &str) -> Option<Vec<u8>> {
    REACH.with_borrow(|reach| reach.cache.get(key).cloned())
}

pub(crate) fn cache_set(key: &str, value: &[u8], seconds: u32) -> bool {
    REACH.with_borrow_mut(|reach| match seconds {
        0 => reach.cache.remove(key).is_some(),
        _ => reach.cache.insert(key.to_owned(), value.to_vec()).is_none(),
    });
    true
}

pub(crate) fn send_all(requests: &[Request]) -> Vec<Result<Response, HttpError>> {
    REACH.with_borrow_mut(|reach| {
        let mut answer = |request| match &mut reach.web {
            Some(web) => web(request),
            None => Err(HttpError::Denied),
        };
        requests.iter().map(&mut answer).collect()
    })
}
