//! An earlier version of a plugin, put back on the whole fleet.

use std::sync::Arc;

use axum::extract::State as Shared;
use queue::fleet::{Change, Fleet, Revision, Rollback, RollbackError, Target};

use super::change::{Done, Refused, queue, record, told};
use crate::dashboard::guard::Asked;
use crate::dashboard::state::State;

/// The plugin was changed after the question was shown.
const CHANGED: &str = "Somebody has changed the plugin meanwhile. Look at it and try again.";

impl From<RollbackError> for Refused {
    fn from(error: RollbackError) -> Self {
        match error {
            RollbackError::Redis(error) => error.into(),
            error => Self::Forbidden(format!("{}.", ops::chain::chain(&error))),
        }
    }
}

/// Puts the version in place that the question named, if the fleet still has the one that it named too.
pub(crate) async fn roll_back(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let plugin = asked.field("plugin");
    let from = Revision::parse(asked.field("from")).ok_or(Refused::Form("From which version?"))?;
    let to = Revision::parse(asked.field("to"));
    let fleet = Fleet::new(queue(&state)?.clone());
    let back = fleet.rollback(plugin, to.as_ref().map_or(Target::Before, Target::At)).await?;
    if back.current.at != from {
        return Err(Refused::Forbidden(CHANGED.to_owned()));
    }
    record(&state, &asked, "roll back", &in_words(&back)).await?;
    let new = back.record.put_by(&asked.viewer().name);
    match fleet.change(plugin, Some(&back.current), &new).await? {
        Change::Done(_) => {}
        Change::Incomplete => {
            return Err(RollbackError::not_stored(&new).into());
        }
        _ => return Err(Refused::Forbidden(CHANGED.to_owned())),
    }
    let note =
        format!("{plugin} goes back to {}. The workers take it within seconds.", new.version);
    Ok(told(&state, &asked, note, "/plugins").await)
}

fn in_words(back: &Rollback) -> String {
    let Rollback { current, record, .. } = back;
    let now = current.record.newest();
    format!(
        "{} from {} (sha256 {:.12}) to {} (sha256 {:.12}), on all workers",
        current.name, now.version, now.digest, record.version, record.digest
    )
}
