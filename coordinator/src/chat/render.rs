//! From data to text and buttons. Everything from a plugin is untrusted: cut, cleaned and escaped here.

pub mod content;
pub mod creators;
pub mod links;
pub mod markup;
mod pages;
pub mod split;
pub mod view;
