//! The conversation: what people do, what the bot remembers, and what it says. Pure: knows neither Redis nor Telegram.

pub mod address;
pub mod callback;
pub mod command_menu;
pub mod contents;
pub mod effect;
pub mod event;
pub mod filter;
pub mod flow;
pub mod privacy;
pub mod question;
pub mod render;
pub mod results;
pub mod sanitize;
pub mod screen;
pub mod session;
pub mod text;
pub mod view;
