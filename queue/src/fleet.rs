//! The desired state of a fleet of workers: which component runs under which plugin name, where, and with which settings.
//!
//! One record for each plugin name, in one hash. A change replaces a record under a fence: it says which record it has
//! read ([`Fleet::change`]). Components are stored before the record that names them, in pieces, under their SHA-256
//! ([`Fleet::store`]). A removal is a record too, so that nothing comes back because somebody has missed it.
//!
//! Each revision has an *era*, a random word that changes when Redis has lost the state. Workers keep what they have read;
//! one that meets another era puts back what is missing ([`Fleet::merge`]).
//!
//! A record may carry a [`Canary`]: a version that some workers try. Going on to all workers and going back are changes like
//! any other; [`Fleet::rollback`] says what going back would be.
//!
//! Not here: what a worker makes of the state (the host), and whether a component may be trusted.

mod artefact;
mod canary;
mod collect;
mod handle;
mod record;
mod report;
mod rollback;
mod state;

pub use artefact::StoreError;
pub use canary::Tally;
pub use handle::Fleet;
pub use record::{
    Canary, Entry, MAX_CANARY_SECONDS, MAX_CANARY_TASKS, MAX_SETTINGS_BYTES, Record, Revision,
    is_label,
};
pub use report::{PluginReport, Signatures, Step, WorkerReport};
pub use rollback::{Pinned, Rollback, RollbackError, SIGN_AGAIN, Target};
pub use state::{Change, HISTORY, MAX_NAMES, Merged, State};
