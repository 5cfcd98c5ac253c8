//! Where the paths in a plugin's settings begin.

use std::path::{Path, PathBuf};

/// Paths are relative to the folder of the settings, except in the fleet's: those belong to the operator's own folder, as if
/// the settings stood there.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathBase {
    fleet: Option<FleetFolder>,
}

/// The folder in which a worker puts the fleet's plugins.
#[derive(Debug, Clone)]
pub(crate) struct FleetFolder {
    /// The components and their settings.
    pub(crate) plugins: PathBuf,
    /// The operator's folder, where their paths begin.
    pub(crate) base: PathBuf,
}

impl PathBase {
    pub(crate) fn new(fleet: Option<FleetFolder>) -> Self {
        Self { fleet }
    }

    /// Whether a component is one of the fleet's.
    pub(crate) fn is_fleets(&self, component: &Path) -> bool {
        self.fleet.as_ref().is_some_and(|fleet| component.starts_with(&fleet.plugins))
    }

    /// Where the paths in the settings beside `component` begin.
    pub(crate) fn of<'a>(&'a self, component: &'a Path) -> &'a Path {
        match &self.fleet {
            Some(fleet) if component.starts_with(&fleet.plugins) => &fleet.base,
            _ => component.parent().unwrap_or(Path::new(".")),
        }
    }
}
