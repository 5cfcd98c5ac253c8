//! From a file to a plugin in force, one folder a step: it is read, checked, compiled, prepared and published.

mod check;
pub mod compile;
pub mod load;
mod prepare;
pub mod publish;
mod trial;
