//! Files that an operator drops in by mistake.

/// A file that was cut while it was copied.
pub(crate) fn half_of(component: &[u8]) -> Vec<u8> {
    component.iter().copied().take(component.len() / 2).collect()
}

/// A plugin `search` that offers what the shipped one offers, and crashes at every task.
pub(crate) fn search_that_traps() -> Vec<u8> {
    test_kit::trapping_guest("search", &["search_creator", "search_simpcity", "get_random_creator"])
}
