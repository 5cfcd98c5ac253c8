//! Replies of the coordinator's own scripts.

use queue::unknown_reply;
use redis::RedisResult;

/// Reads a script's 0 or 1.
///
/// # Errors
///
/// [`unknown_reply`].
pub(crate) fn flag(script: &str, reply: i64) -> RedisResult<bool> {
    match reply {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(unknown_reply(script, &other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_known_or_an_error() {
        assert!(!flag("save", 0).unwrap());
        assert!(flag("save", 1).unwrap());
        for odd in [-1, 2] {
            let error = flag("save", odd).unwrap_err().to_string();
            assert!(error.contains(&format!("`save` replied `{odd}`")), "{error}");
        }
    }
}
