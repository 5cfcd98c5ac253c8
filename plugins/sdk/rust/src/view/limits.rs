//! The contract's limits of a view (docs/plugin-contract.md). Views that are just within them are checked against the
//! coordinator's own reader.

/// The version of a view.
pub(super) const VERSION: u64 = 1;
pub(super) const MAX_TEXT_CHARS: usize = 16_000;
pub(super) const MAX_TEXT_BYTES: usize = 32 << 10;
pub(super) const MAX_ITEMS: usize = 50;
pub(super) const MAX_TITLE_CHARS: usize = 120;
pub(super) const MAX_ITEM_TEXT_CHARS: usize = 300;
pub(super) const MAX_MEDIA: usize = 10;
pub(super) const MAX_CAPTION_CHARS: usize = 200;
pub(super) const MAX_ROWS: usize = 8;
pub(super) const MAX_IN_ROW: usize = 4;
pub(super) const MAX_BUTTONS: usize = 24;
pub(super) const MAX_LABEL_CHARS: usize = 48;
pub(super) const MAX_PARAMS_BYTES: usize = 2 << 10;
pub(super) const MAX_PARAMS_LEVELS: usize = 32;
/// All texts, addresses and params together.
pub(super) const MAX_BYTES: usize = 48 << 10;
