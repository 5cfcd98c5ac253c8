//! Plugins for `FreeFans` workers, in Rust.
//!
//! A plugin is a type with [`Plugin`] and one line, [`export!`]:
//!
//! ```
//! use freefans_plugin::{Command, Description, Error, Plugin, Task, View};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! /// The params. The host checks them against the JSON Schema of this type.
//! #[derive(Deserialize, JsonSchema)]
//! struct Params {
//!     /// Whom to greet.
//!     name: String,
//! }
//!
//! struct Greeter;
//!
//! impl Plugin for Greeter {
//!     fn describe() -> Description {
//!         Description::new("greeter", "1.0.0")
//!             .task("greet", "Greets somebody.", greet)
//!             .command(Command::new("greet", "Greet somebody", "greet").required_argument("name"))
//!     }
//! }
//!
//! fn greet(params: &Params, _task: &Task) -> Result<View, Error> {
//!     if params.name.trim().is_empty() {
//!         return Err(Error::invalid("Whom shall I greet?"));
//!     }
//!     Ok(View::text(format!("Hello {}", freefans_plugin::text::escape(&params.name))))
//! }
//!
//! freefans_plugin::export!(Greeter);
//! # fn main() {}
//! ```
//!
//! Natively, `cargo test` runs a plugin in [`test::Host`]. In a component, the same functions reach the worker.
//!
//! What a plugin must know: every task starts from the memory that [`Plugin::init`] left, so nothing that one task stores is
//! seen by another, and a generator of random numbers that is seeded before is the same in every task. [`Task::random`] is new
//! for each.

mod answer;
#[doc(hidden)]
#[cfg(target_family = "wasm")]
pub mod bindings;
pub mod cache;
mod command;
pub mod config;
pub mod data;
mod description;
mod error;
#[doc(hidden)]
#[cfg(target_family = "wasm")]
pub mod export;
mod host;
pub mod http;
pub mod log;
pub mod progress;
mod random;
mod schema;
mod task;
#[cfg(not(target_family = "wasm"))]
pub mod test;
pub mod text;
pub mod view;

pub use answer::{Answer, IntoAnswer};
pub use command::Command;
pub use description::{Description, Plugin};
pub use error::Error;
pub use random::Random;
pub use task::Task;
pub use view::{Button, Item, View};

/// Makes a component of a type with [`Plugin`].
///
/// Once in a crate of the type `cdylib`. In a native build it only makes sure that the type is a plugin.
#[macro_export]
macro_rules! export {
    ($plugin:ident) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Exported;

            impl $crate::export::bindings::Guest for Exported {
                fn describe() -> $crate::export::Descriptor {
                    $crate::export::describe::<$plugin>()
                }

                fn init() -> Result<(), String> {
                    $crate::export::init::<$plugin>()
                }

                fn handle(
                    task: $crate::export::Task,
                ) -> Result<$crate::export::Output, $crate::export::Failure> {
                    $crate::export::handle::<$plugin>(task)
                }
            }

    $crate::export::bindings::export!(Exported with_types_in $crate::export::bindings);
        };

        // Natively nothing calls the plugin but tests.
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> $crate::Description = <$plugin as $crate::Plugin>::describe;
    };
}
