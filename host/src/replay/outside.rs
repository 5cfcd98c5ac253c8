//! What is outside for a plugin's tasks.

use std::sync::Arc;

use queue::Task;

use super::recordings::Recordings;
use super::world::World;

/// What is outside for a plugin's tasks.
#[derive(Debug, Clone, Default)]
pub(crate) enum Outside {
    /// The real world.
    #[default]
    Real,
    /// The real world. What it answers to a task that fails is kept.
    Recorded(Arc<Recordings>),
    /// One world for all tasks, which one command runs one after the other.
    Shared(Arc<World>),
}

impl Outside {
    /// What answers `task` or writes the answers down; none when it is the real world alone.
    pub(crate) fn world(&self, task: &Task) -> Option<Arc<World>> {
        match self {
            Self::Real => None,
            Self::Recorded(_) => Some(Arc::new(World::watching(task))),
            Self::Shared(world) => Some(Arc::clone(world)),
        }
    }

    /// Where the cases of tasks that failed are kept.
    pub(crate) fn recordings(&self) -> Option<&Arc<Recordings>> {
        match self {
            Self::Recorded(recordings) => Some(recordings),
            Self::Real | Self::Shared(_) => None,
        }
    }
}
