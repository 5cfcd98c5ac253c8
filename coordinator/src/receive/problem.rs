//! What keeps updates from coming.

use tokio::sync::watch;

/// What keeps updates from coming, in words, for as long as it does.
pub(crate) type UpdateProblem = watch::Sender<Option<String>>;
