//! Replies of the coordinator's own scripts.

use redis::{ErrorKind, RedisError, RedisResult};

/// Reads a script's 0 or 1.
///
/// # Errors
///
/// [`unknown`].
pub(crate) fn flag(script: &str, reply: i64) -> RedisResult<bool> {
    match reply {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(unknown(script, &other.to_string())),
    }
}

/// The error for a reply that this version does not know, from a script of another version for instance.
pub(crate) fn unknown(script: &str, reply: &str) -> RedisError {
    let shown: String = reply.chars().take(100).collect();
    let detail = format!("`{script}` replied `{shown}`");
    RedisError::from((ErrorKind::UnexpectedReturnType, "unknown reply of a script", detail))
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
