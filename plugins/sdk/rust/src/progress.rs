//! Tells the person who waits how far a long task has come.

use crate::host;

/// Replaces the text that is shown while the task runs. `percent` is 0 to 100 when it is known. The chat shows one text every
/// few seconds, the latest.
pub fn report(text: &str, percent: Option<u8>) {
    host::progress(text, percent);
}
