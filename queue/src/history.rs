//! The history of finished tasks: what became of each, and how many there were.
//!
//! `finish.lua` knows nothing of it. The process that ended a task puts an entry into a bounded buffer, and writes many of them in
//! one call, off the task's path. So a crash may lose the last moment's history and never a task, and Redis without room for
//! the history still takes tasks. Nothing depends on an entry.
//!
//! All of it is in one slot (`{history}`): a stream of ended tasks, a stream of what happened to tasks besides, and the counts of
//! each minute and hour. Texts are kept only where the operator wants it ([`Texts`]).

mod buckets;
pub(crate) mod buffer;
mod filter;
pub(crate) mod note;
mod read;
mod record;
mod search;
mod settings;
pub(crate) mod stream;
mod timeline;
mod write;

pub use buckets::{Bucket, HISTOGRAM_BUCKETS, Histogram, Span, TypeCounts};
pub use filter::Filter;
pub use read::History;
pub use record::{FinishedTask, Step, StepKind};
pub use search::Page;
pub use settings::{HistorySettings, Texts, UnknownTexts};
pub use timeline::{Timeline, TimelineEvent, TimelineKind};
pub use write::write_until;
