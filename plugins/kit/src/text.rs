//! Text from other services made readable.

mod entities;

pub use entities::without_entities;
