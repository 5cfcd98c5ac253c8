//! What keeps updates from coming.

use tokio::sync::watch;

/// What keeps updates from coming at the moment, for people.
pub(crate) type UpdateProblem = watch::Sender<Option<String>>;
