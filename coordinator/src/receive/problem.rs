//! Why no updates arrive.

use tokio::sync::watch;

/// Why no updates arrive at the moment, as a text for people; none while they arrive.
pub(crate) type UpdateProblem = watch::Sender<Option<String>>;
