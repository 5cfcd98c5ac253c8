//! What each page of mistakes is a list of.

/// A mistake, and the command that shows what is wrong.
pub(super) struct Mistake {
    pub(super) what: String,
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// What stands behind `worker plugins`.
    pub(super) arguments: Vec<String>,
}

impl Mistake {
    /// Shown by `check tide.wasm`, with this component.
    pub(super) fn checked(what: &str, component: Vec<u8>) -> Self {
        Self::shown(what, "check tide.wasm").with("tide.wasm", component)
    }

    pub(super) fn shown(what: &str, arguments: &str) -> Self {
        let arguments = arguments.split(' ').map(str::to_owned).collect();
        Self { what: what.to_owned(), files: Vec::new(), arguments }
    }

    pub(super) fn with(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), content.into()));
        self
    }
}
