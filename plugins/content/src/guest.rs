//! The plugin as the worker sees it: decode, call, encode.

use std::sync::OnceLock;

use freefans_plugin::{Answer, Description, Error, Plugin, Task, cache, config, data, log};
use kit::json::Unreadable;

use crate::page::{self, Loaded, page_size};
use crate::params::{LoadRequest, MoreRequest, Wanted};
use crate::remote::{NOT_SET_UP, Remote, RemoteError, Setup, TRY_LATER};
use crate::table::Table;
use crate::{cache_entry, descriptor, output};

static TABLE: OnceLock<Table> = OnceLock::new();

struct Content;

impl Plugin for Content {
    fn describe() -> Description {
        use crate::descriptor::{LOAD, LOAD_SUMMARY, MORE, MORE_SUMMARY, load_params, more_params};
        Description::new(descriptor::NAME, descriptor::VERSION)
            .raw_task(LOAD, LOAD_SUMMARY, load_params, first_page)
            .raw_task(MORE, MORE_SUMMARY, more_params, more_pages)
            .rows("content", TABLE.get().map(Table::rows))
    }

    fn init() -> Result<(), Error> {
        let mut remarks = Vec::new();
        page_size(config::get("page_size").as_deref(), &mut remarks);
        let setup = Remote::from(config::get, &mut remarks).map_err(Error::Fatal)?;
        if let Setup::Unusable(problem) = &setup {
            remarks.push(format!("items cannot be loaded: {problem}"));
        }
        for remark in &remarks {
            log::warn(remark);
        }
        if setup != Setup::Local {
            return Ok(());
        }
        let bytes = data::read("content").map_err(|error| match error {
            data::DataError::NotGranted { .. } => {
                Error::fatal(format!("{error}, or set `supabase_url`"))
            }
            other => other.into(),
        })?;
        let (table, noticed) = Table::read(&bytes).map_err(Error::Fatal)?;
        for remark in &noticed.remarks {
            log::warn(remark);
        }
        for row in &noticed.skipped.named {
            log::warn(format!("content row skipped: {row}"));
        }
        for row in noticed.ragged.named.iter().take(1) {
            log::warn(format!("content row kept: {row}"));
        }
        log::info(noticed.told());
        let _ = TABLE.set(table); // Already set only if `init` ran twice; the first table is as good.
        Ok(())
    }
}

freefans_plugin::export!(Content);

fn first_page(task: &Task) -> Result<Answer, Error> {
    let request = LoadRequest::parse(&task.params).map_err(Error::Invalid)?;
    let (loaded, unreadable) = load(&request.wanted, request.cache_only)?;
    let data = output::directory(&request.wanted.creator_name, &loaded, &[]);
    Ok(Answer::new(data).with_all_metadata(unreadable.metadata()))
}

fn more_pages(task: &Task) -> Result<Answer, Error> {
    let request = MoreRequest::parse(&task.params).map_err(Error::Invalid)?;
    let (loaded, unreadable) = load(&request.wanted, false)?;
    let data = output::directory(&request.wanted.creator_name, &loaded, &request.before);
    Ok(Answer::new(data).with_all_metadata(unreadable.metadata()))
}

fn load(wanted: &Wanted, cache_only: bool) -> Result<(Loaded, Unreadable), Error> {
    // What is odd about the settings and costs nothing else was told when the plugin was loaded.
    let mut told = Vec::new();
    let size = page_size(config::get("page_size").as_deref(), &mut told);
    match Remote::from(config::get, &mut told).map_err(Error::Fatal)? {
        Setup::Local => {
            let table =
                TABLE.get().ok_or_else(|| Error::Fatal("the content is not loaded".to_owned()))?;
            let loaded = page::load(table, wanted, size).ok_or_else(|| {
                Error::not_found(format!("there is no content for {}", wanted.creator_name))
            })?;
            Ok((loaded, Unreadable::default()))
        }
        Setup::Remote(remote) => load_remote(&remote, wanted, size, cache_only),
        Setup::Unusable(operator) => Err(failure(RemoteError::Fatal { operator })),
    }
}

fn load_remote(
    remote: &Remote,
    wanted: &Wanted,
    size: usize,
    cache_only: bool,
) -> Result<(Loaded, Unreadable), Error> {
    let request = remote.request(wanted, size);
    let key = cache_entry::key(&request);
    if remote.cache_seconds > 0
        && let Some(entry) = cache::get(&key)
        && let Some(part) = cache_entry::read(&request, &entry)
    {
        return Ok((part.pages(wanted, size), Unreadable::default()));
    }
    if cache_only {
        return Err(Error::not_found(format!("nothing is stored for {} yet", wanted.creator_name)));
    }
    let (part, unreadable) = remote.read(wanted, size, request.send()).map_err(failure)?;
    if let Some(told) = unreadable.told("rows") {
        log::warn(format!("the content source: {told}"));
    }
    if remote.cache_seconds > 0 {
        // A cache that does not take it costs a request later, nothing more.
        let entry = cache_entry::entry(&request, &part);
        cache::set(&key, entry.as_bytes(), remote.cache_seconds);
    }
    Ok((part.pages(wanted, size), unreadable))
}

/// The operator's words go to the log, plain ones to the person.
fn failure(error: RemoteError) -> Error {
    match error {
        RemoteError::NotFound(reason) => Error::NotFound(reason),
        RemoteError::Fatal { operator } => {
            log::error(operator);
            Error::Fatal(NOT_SET_UP.to_owned())
        }
        RemoteError::Later { operator, after_ms } => {
            log::warn(operator);
            Error::Retry { reason: TRY_LATER.to_owned(), after_ms }
        }
    }
}
