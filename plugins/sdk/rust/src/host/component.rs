//! The contract's imports.

use super::kinds::{Level, NoData};
use crate::bindings::freefans::plugin;

pub(crate) use crate::http::send::send_all;

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => plugin::log::Level::Trace,
        Level::Debug => plugin::log::Level::Debug,
        Level::Info => plugin::log::Level::Info,
        Level::Warn => plugin::log::Level::Warn,
        Level::Error => plugin::log::Level::Error,
    };
    plugin::log::write(level, message);
}

pub(crate) fn config(key: &str) -> Option<String> {
    plugin::config::get(key)
}

pub(crate) fn progress(text: &str, percent: Option<u8>) {
    plugin::progress::report(text, percent);
}

pub(crate) fn data(name: &str) -> Result<Vec<u8>, NoData> {
    plugin::data::read(name).map_err(|error| match error {
        plugin::data::DataError::NotGranted => NoData::NotGranted,
        plugin::data::DataError::TooLarge(limit) => NoData::TooLarge(limit),
        plugin::data::DataError::Unavailable => NoData::Unavailable,
    })
}

pub(crate) fn cache_get(key: &str) -> Option<Vec<u8>> {
    plugin::cache::get(key).ok().flatten()
}

pub(crate) fn cache_set(key: &str, value: &[u8], seconds: u32) -> bool {
    plugin::cache::set(key, value, seconds).is_ok()
}
