//! The world's exports: decode, call, encode. The only file that names the bindings.

use std::sync::OnceLock;
use std::time::Instant;

use serde_json::json;

use crate::catalogue::read_catalogue;
use crate::extended::{self, ForumError};
use crate::index::{Builder, Index};
use crate::params::{self, RandomRequest, SearchRequest};
use crate::random::{self, Pick};
use crate::{descriptor, output};

#[expect(unsafe_code, reason = "generated code: the border of the sandbox is made of raw pointers")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "plugin" });
    use super::Search;
    export!(Search);
}

use bindings::freefans::plugin::types::{Descriptor, Failure, Output, Retry, Task, TaskType};
use bindings::freefans::plugin::{config, data, log};

static INDEX: OnceLock<Index> = OnceLock::new();

struct Search;

impl bindings::Guest for Search {
    fn describe() -> Descriptor {
        Descriptor {
            name: descriptor::NAME.to_owned(),
            version: descriptor::version(),
            task_types: descriptor::task_types()
                .into_iter()
                .map(|(name, summary, schema)| TaskType {
                    name: name.to_owned(),
                    summary: summary.to_owned(),
                    params_schema: schema.to_string(),
                })
                .collect(),
            extensions: descriptor::extensions(INDEX.get().map(|index| index.creators().len())),
        }
    }

    fn init() -> Result<(), String> {
        // Only looked at: a wrong setting of the forum turns off what asks it, and the names are found all the same.
        let mut remarks = Vec::new();
        if let Err(problem) = extended::Settings::from(|key| config::get(key), &mut remarks) {
            remarks.push(extended::turned_off(&problem));
        }
        for remark in &remarks {
            log::write(log::Level::Warn, remark);
        }
        let bytes = data::read("creators").map_err(|error| match error {
            data::DataError::NotGranted => {
                "there is no catalogue: add `data = { creators = \"FILE.csv\" }` under [grants]"
                    .to_owned()
            }
            data::DataError::TooLarge(limit) => {
                format!("the catalogue is larger than {limit} bytes")
            }
            data::DataError::Unavailable => "the catalogue cannot be read at the moment".to_owned(),
        })?;
        let mut builder = Builder::default();
        let noticed = read_catalogue(&bytes, |row| builder.add(&row))?;
        // Before the index is laid out, so that it may lie where the file lay.
        drop(bytes);
        let index = builder.finish();
        for remark in &noticed.remarks {
            log::write(log::Level::Warn, remark);
        }
        for row in &noticed.skipped.named {
            log::write(log::Level::Warn, &format!("catalogue row skipped: {row}"));
        }
        for row in &noticed.uncounted.named {
            log::write(log::Level::Warn, &format!("catalogue row kept without a count: {row}"));
        }
        // The rows are there; the first shows what is meant.
        for row in noticed.ragged.named.iter().take(1) {
            log::write(log::Level::Warn, &format!("catalogue row kept: {row}"));
        }
        log::write(log::Level::Info, &output::loaded(&index, &noticed));
        let _ = INDEX.set(index); // Already set only if `init` ran twice; the first index is as good.
        Ok(())
    }

    fn handle(task: Task) -> Result<Output, Failure> {
        let index =
            INDEX.get().ok_or_else(|| Failure::Fatal("the catalogue is not loaded".to_owned()))?;
        match task.task_type.as_str() {
            "search_creator" => {
                let request = SearchRequest::parse(&task.params).map_err(Failure::Invalid)?;
                Ok(encode(output::search(
                    &request.query,
                    &index.search(&request.query, request.limit),
                )))
            }
            "get_random_creator" => {
                let request = RandomRequest::parse(&task.params).map_err(Failure::Invalid)?;
                match random::pick(index, &request, task.seed) {
                    Pick::Picked(creator) => Ok(encode((output::random(&creator), json!({})))),
                    Pick::NobodyHasEnough => {
                        Err(Failure::NotFound(random::none_text(request.min_items)))
                    }
                    Pick::NobodyElse(creator) => Err(Failure::NotFound(random::nobody_else_text(
                        creator.name,
                        request.min_items,
                    ))),
                }
            }
            "search_simpcity" => extended_search(&task.params),
            other => Err(Failure::Invalid(format!("this plugin does not handle `{other}`"))),
        }
    }
}

fn extended_search(params: &str) -> Result<Output, Failure> {
    let request = params::ExtendedRequest::parse(params).map_err(Failure::Invalid)?;
    // What is odd about the settings and costs nothing else was told when the plugin was loaded.
    let settings = extended::Settings::from(|key| config::get(key), &mut Vec::new());
    let settings = settings.map_err(|problem| {
        log::write(log::Level::Error, &extended::turned_off(&problem));
        Failure::Fatal(extended::NOT_SET_UP.to_owned())
    })?;
    let settings = settings.ok_or_else(|| Failure::Fatal(extended::NOT_CONFIGURED.to_owned()))?;
    let began = Instant::now();
    match extended::search(&settings, &request, kit::http::send_all, || began.elapsed()) {
        Ok(answer) => {
            if let Some(remark) = &answer.remark {
                log::write(log::Level::Warn, remark);
            }
            Ok(encode((answer.data, answer.metadata)))
        }
        Err(ForumError::Invalid(reason)) => Err(Failure::Invalid(reason)),
        Err(ForumError::Fatal { operator }) => {
            log::write(log::Level::Error, &operator);
            Err(Failure::Fatal(extended::NOT_SET_UP.to_owned()))
        }
        Err(ForumError::Later { operator, after_ms }) => {
            log::write(log::Level::Warn, &operator);
            Err(Failure::Retry(Retry { reason: extended::TRY_LATER.to_owned(), after_ms }))
        }
    }
}

fn encode((data, metadata): (serde_json::Value, serde_json::Value)) -> Output {
    Output { data: data.to_string(), metadata: metadata.to_string() }
}
