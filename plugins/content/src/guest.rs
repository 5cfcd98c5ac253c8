//! The world's exports: decode, call, encode. The only file that names the bindings.

use std::sync::OnceLock;

use kit::http::HttpError;
use kit::json::Unreadable;
use serde_json::Value;

use crate::page::{self, Loaded, page_size};
use crate::params::{LoadRequest, MoreRequest, Wanted};
use crate::remote::{NOT_SET_UP, Remote, RemoteError, Setup, TRY_LATER};
use crate::table::Table;
use crate::{cache_entry, descriptor, output};

#[expect(unsafe_code, reason = "generated code: the border of the sandbox is made of raw pointers")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "plugin" });
    use super::Content;
    export!(Content);
}

use bindings::freefans::plugin::types::{Descriptor, Failure, Output, Retry, Task, TaskType};
use bindings::freefans::plugin::{cache, config, data, log};

static TABLE: OnceLock<Table> = OnceLock::new();

struct Content;

impl bindings::Guest for Content {
    fn describe() -> Descriptor {
        Descriptor {
            name: descriptor::NAME.to_owned(),
            version: descriptor::VERSION.to_owned(),
            task_types: descriptor::task_types()
                .into_iter()
                .map(|(name, summary, schema)| TaskType {
                    name: name.to_owned(),
                    summary: summary.to_owned(),
                    params_schema: schema.to_string(),
                })
                .collect(),
            extensions: descriptor::extensions(TABLE.get().map(Table::rows)),
        }
    }

    fn init() -> Result<(), String> {
        let mut remarks = Vec::new();
        page_size(config::get("page_size").as_deref(), &mut remarks);
        let setup = Remote::from(|key| config::get(key), &mut remarks)?;
        if let Setup::Unusable(problem) = &setup {
            remarks.push(format!("items cannot be loaded: {problem}"));
        }
        for remark in &remarks {
            log::write(log::Level::Warn, remark);
        }
        if setup != Setup::Local {
            return Ok(());
        }
        let bytes = data::read("content").map_err(|error| match error {
            data::DataError::NotGranted => {
                "there is no content: add `data = { content = \"FILE.csv\" }` under \
                                            [grants], or set `supabase_url`"
                    .to_owned()
            }
            data::DataError::TooLarge(limit) => {
                format!("the content table is larger than {limit} bytes")
            }
            data::DataError::Unavailable => {
                "the content table cannot be read at the moment".to_owned()
            }
        })?;
        let (table, noticed) = Table::read(&bytes)?;
        for remark in &noticed.remarks {
            log::write(log::Level::Warn, remark);
        }
        for row in &noticed.skipped.named {
            log::write(log::Level::Warn, &format!("content row skipped: {row}"));
        }
        for row in noticed.ragged.named.iter().take(1) {
            log::write(log::Level::Warn, &format!("content row kept: {row}"));
        }
        log::write(log::Level::Info, &noticed.told());
        let _ = TABLE.set(table); // Already set only if `init` ran twice; the first table is as good.
        Ok(())
    }

    fn handle(task: Task) -> Result<Output, Failure> {
        match task.task_type.as_str() {
            "load_content" => {
                let request = LoadRequest::parse(&task.params).map_err(Failure::Invalid)?;
                let (loaded, unreadable) = load(&request.wanted, request.cache_only)?;
                let data = output::directory(&request.wanted.creator_name, &loaded, &[]);
                Ok(encode(&data, &unreadable))
            }
            "load_more_pages" => {
                let request = MoreRequest::parse(&task.params).map_err(Failure::Invalid)?;
                let (loaded, unreadable) = load(&request.wanted, false)?;
                let name = &request.wanted.creator_name;
                let data = output::directory(name, &loaded, &request.before);
                Ok(encode(&data, &unreadable))
            }
            other => Err(Failure::Invalid(format!("this plugin does not handle `{other}`"))),
        }
    }
}

fn load(wanted: &Wanted, cache_only: bool) -> Result<(Loaded, Unreadable), Failure> {
    // What is odd about the settings and costs nothing else was told when the plugin was loaded.
    let mut told = Vec::new();
    let size = page_size(config::get("page_size").as_deref(), &mut told);
    match Remote::from(|key| config::get(key), &mut told).map_err(Failure::Fatal)? {
        Setup::Local => {
            let table = TABLE
                .get()
                .ok_or_else(|| Failure::Fatal("the content is not loaded".to_owned()))?;
            let loaded = page::load(table, wanted, size).ok_or_else(|| {
                Failure::NotFound(format!("there is no content for {}", wanted.creator_name))
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
) -> Result<(Loaded, Unreadable), Failure> {
    let request = remote.request(wanted, size);
    let key = cache_entry::key(&request);
    if remote.cache_seconds > 0
        && let Ok(Some(entry)) = cache::get(&key)
        && let Some(part) = cache_entry::read(&request, &entry)
    {
        return Ok((part.pages(wanted, size), Unreadable::default()));
    }
    if cache_only {
        return Err(Failure::NotFound(format!(
            "nothing is stored for {} yet",
            wanted.creator_name
        )));
    }
    let answer = kit::http::send_all(std::slice::from_ref(&request)).pop();
    let answer = answer.unwrap_or(Err(HttpError::Unreachable));
    let (part, unreadable) = remote.read(wanted, size, answer).map_err(failure)?;
    if let Some(told) = unreadable.told("rows") {
        log::write(log::Level::Warn, &format!("the content source: {told}"));
    }
    if remote.cache_seconds > 0 {
        // A cache that does not take it costs a request later, nothing more.
        let entry = cache_entry::entry(&request, &part);
        let _ = cache::set(&key, entry.as_bytes(), remote.cache_seconds);
    }
    Ok((part.pages(wanted, size), unreadable))
}

/// The operator's words go to the log, plain ones to the person.
fn failure(error: RemoteError) -> Failure {
    match error {
        RemoteError::NotFound(reason) => Failure::NotFound(reason),
        RemoteError::Fatal { operator } => {
            log::write(log::Level::Error, &operator);
            Failure::Fatal(NOT_SET_UP.to_owned())
        }
        RemoteError::Later { operator, after_ms } => {
            log::write(log::Level::Warn, &operator);
            Failure::Retry(Retry { reason: TRY_LATER.to_owned(), after_ms })
        }
    }
}

fn encode(data: &Value, unreadable: &Unreadable) -> Output {
    Output { data: data.to_string(), metadata: unreadable.metadata().to_string() }
}
