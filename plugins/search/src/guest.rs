//! The world's exports: decode, call, encode. The only file that names the bindings.

use std::sync::OnceLock;
use std::time::Instant;

use serde_json::json;

use crate::catalogue::read_catalogue;
use crate::extended::{self, Ask};
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
        // Only looked at: a wrong setting keeps the plugin from being loaded, and no person runs into it.
        extended::Settings::from(|key| config::get(key))?;
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
        for row in &noticed.skipped.named {
            log::write(log::Level::Warn, &format!("catalogue row skipped: {row}"));
        }
        for row in &noticed.uncounted.named {
            log::write(log::Level::Warn, &format!("catalogue row kept without a count: {row}"));
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
    let settings = extended::Settings::from(|key| config::get(key)).map_err(Failure::Fatal)?;
    let settings = settings.ok_or_else(|| Failure::Fatal(extended::NOT_CONFIGURED.to_owned()))?;
    let began = Instant::now();
    match extended::search(&settings, &request, kit::http::send_all, || began.elapsed()) {
        Ok(answer) => Ok(encode((answer, json!({})))),
        Err(Ask::Invalid(reason)) => Err(Failure::Invalid(reason)),
        Err(Ask::Fatal { operator }) => {
            log::write(log::Level::Error, &operator);
            Err(Failure::Fatal(extended::NOT_SET_UP.to_owned()))
        }
        Err(Ask::Later { operator, after_ms }) => {
            log::write(log::Level::Warn, &operator);
            Err(Failure::Retry(Retry { reason: extended::TRY_LATER.to_owned(), after_ms }))
        }
    }
}

fn encode((data, metadata): (serde_json::Value, serde_json::Value)) -> Output {
    Output { data: data.to_string(), metadata: metadata.to_string() }
}
