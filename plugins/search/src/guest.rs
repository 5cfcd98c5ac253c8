//! The plugin as the worker sees it: decode, call, encode.

use std::sync::OnceLock;
use std::time::Instant;

use freefans_plugin::{Answer, Description, Error, Plugin, Task, config, data, http, log};
use serde_json::Value;

use crate::catalogue::read_catalogue;
use crate::extended::{self, ForumError};
use crate::index::{Builder, Index};
use crate::params::{ExtendedRequest, RandomRequest, SearchRequest};
use crate::random::{self, Pick};
use crate::{descriptor, output};

static INDEX: OnceLock<Index> = OnceLock::new();

struct Search;

impl Plugin for Search {
    fn describe() -> Description {
        let [by_name, by_forum, by_chance] = descriptor::TASK_TYPES;
        Description::new(descriptor::NAME, descriptor::version())
            .raw_task(by_name.name, by_name.summary, by_name.schema, search)
            .raw_task(by_forum.name, by_forum.summary, by_forum.schema, extended_search)
            .raw_task(by_chance.name, by_chance.summary, by_chance.schema, pick)
            .rows("creators", INDEX.get().map(|index| index.creators().len()))
    }

    fn init() -> Result<(), Error> {
        // Only looked at: a wrong setting of the forum turns off what asks it, and the names are found all the same.
        let mut remarks = Vec::new();
        if let Err(problem) = extended::Settings::from(config::get, &mut remarks) {
            remarks.push(extended::turned_off(&problem));
        }
        for remark in &remarks {
            log::warn(remark);
        }
        let bytes = data::read("creators")?;
        let mut builder = Builder::default();
        let noticed = read_catalogue(&bytes, |row| builder.add(&row)).map_err(Error::Fatal)?;
        // Before the index is laid out, so that it may lie where the file lay.
        drop(bytes);
        let index = builder.finish();
        for remark in &noticed.remarks {
            log::warn(remark);
        }
        for row in &noticed.skipped.named {
            log::warn(format!("catalogue row skipped: {row}"));
        }
        for row in &noticed.uncounted.named {
            log::warn(format!("catalogue row kept without a count: {row}"));
        }
        // The rows are there; the first shows what is meant.
        for row in noticed.ragged.named.iter().take(1) {
            log::warn(format!("catalogue row kept: {row}"));
        }
        log::info(output::loaded(&index, &noticed));
        let _ = INDEX.set(index); // Already set only if `init` ran twice; the first index is as good.
        Ok(())
    }
}

freefans_plugin::export!(Search);

fn index() -> Result<&'static Index, Error> {
    INDEX.get().ok_or_else(|| Error::fatal("the catalogue is not loaded"))
}

fn search(task: &Task) -> Result<Answer, Error> {
    let request = SearchRequest::parse(&task.params).map_err(Error::Invalid)?;
    let found = index()?.search(&request.query, request.limit);
    let (data, metadata) = output::search(&request.query, &found);
    Ok(answer(data, metadata))
}

fn pick(task: &Task) -> Result<Answer, Error> {
    let request = RandomRequest::parse(&task.params).map_err(Error::Invalid)?;
    match random::pick(index()?, &request, task.seed) {
        Pick::Picked(creator) => Ok(Answer::new(output::random(&creator))),
        Pick::NobodyHasEnough => Err(Error::not_found(random::none_text(request.min_items))),
        Pick::NobodyElse(creator) => {
            Err(Error::not_found(random::nobody_else_text(creator.name, request.min_items)))
        }
    }
}

fn extended_search(task: &Task) -> Result<Answer, Error> {
    let request = ExtendedRequest::parse(&task.params).map_err(Error::Invalid)?;
    // What is odd about the settings and costs nothing else was told when the plugin was loaded.
    let settings = extended::Settings::from(config::get, &mut Vec::new());
    let settings = settings.map_err(|problem| {
        log::error(extended::turned_off(&problem));
        Error::fatal(extended::NOT_SET_UP)
    })?;
    let settings = settings.ok_or_else(|| Error::fatal(extended::NOT_CONFIGURED))?;
    let began = Instant::now();
    match extended::search(&settings, &request, http::send_all, || began.elapsed()) {
        Ok(found) => {
            if let Some(remark) = &found.remark {
                log::warn(remark);
            }
            Ok(answer(found.data, found.metadata))
        }
        Err(ForumError::Invalid(reason)) => Err(Error::Invalid(reason)),
        Err(ForumError::Fatal { operator }) => {
            log::error(operator);
            Err(Error::fatal(extended::NOT_SET_UP))
        }
        Err(ForumError::Later { operator, after_ms }) => {
            log::warn(operator);
            Err(Error::Retry { reason: extended::TRY_LATER.to_owned(), after_ms })
        }
    }
}

fn answer(data: Value, metadata: Value) -> Answer {
    Answer::new(data).with_all_metadata(metadata)
}
