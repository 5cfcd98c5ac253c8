//! Who is logged in. Sessions are kept in memory: they end after twelve hours, when their person logs out, and with the
//! process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::settings::Tokens;

/// A working day and a night.
pub(super) const SESSION: Duration = Duration::from_secs(12 * 3600);
/// Most sessions at the same time; the oldest ends.
const MAX_SESSIONS: usize = 1_000;
/// Longest name that somebody gives at the login.
const NAME_LETTERS: usize = 40;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything.
    Admin,
    /// Look, except at what people typed.
    Read,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Read => "read",
        }
    }
}

/// Who sends a request.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    /// As they call themselves.
    pub(super) name: String,
    pub(super) role: Role,
    /// What each of their forms carries.
    pub(super) csrf: String,
    /// The session's id; none where nobody logs in.
    pub(super) session: Option<String>,
}

impl Viewer {
    pub(super) fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}

#[derive(Debug)]
struct Session {
    viewer: Viewer,
    until: Instant,
}

/// The sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    /// Begins a session at `now` and returns its id.
    pub(super) fn begin(&self, name: &str, role: Role, now: Instant) -> String {
        let id = secret();
        let plain: String = name.chars().filter(|letter| !letter.is_control()).collect();
        let name: String = plain.trim().chars().take(NAME_LETTERS).collect();
        let name = if name.is_empty() { "unnamed".to_owned() } else { name };
        let viewer = Viewer { name, role, csrf: secret(), session: Some(id.clone()) };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| now < session.until);
        if sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.until);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(id.clone(), Session { viewer, until: now + SESSION });
        id
    }

    /// Who has this session at `now`; none when it has ended.
    pub(super) fn viewer(&self, id: &str, now: Instant) -> Option<Viewer> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(id)?;
        (now < session.until).then(|| session.viewer.clone())
    }

    pub(super) fn end(&self, id: &str) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Tokens {
    /// The role of whoever has this token.
    pub(super) fn role_of(&self, presented: &str) -> Option<Role> {
        // Both are compared, and in constant time: the duration must not reveal how many letters are right.
        let is = |token: &Option<ops::secret::Secret<String>>| {
            token.as_ref().is_some_and(|token| same(token.expose(), presented))
        };
        let admin = is(&self.admin);
        let read = is(&self.read);
        if admin {
            return Some(Role::Admin);
        }
        read.then_some(Role::Read)
    }
}

/// Compares secrets in constant time.
pub(super) fn same(one: &str, other: &str) -> bool {
    bool::from(one.as_bytes().ct_eq(other.as_bytes()))
}

/// A random word of 256 bits.
pub(super) fn secret() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use ops::secret::Secret;

    use super::*;

    #[test]
    fn a_session_ends_after_its_time_and_when_its_person_logs_out() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let id = sessions.begin(" Ada\n ", Role::Read, now);
        let viewer = sessions.viewer(&id, now).unwrap();
        assert_eq!((viewer.name.as_str(), viewer.role), ("Ada", Role::Read));
        assert!(sessions.viewer(&id, now + SESSION - Duration::from_secs(1)).is_some());
        assert!(sessions.viewer(&id, now + SESSION).is_none());
        let other = sessions.begin("", Role::Admin, now);
        sessions.end(&other);
        assert!(sessions.viewer(&other, now).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_ids_differ() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let first = sessions.begin("a", Role::Admin, now);
        for _ in 0..MAX_SESSIONS {
            sessions.begin("b", Role::Admin, now + Duration::from_secs(1));
        }
        assert!(sessions.viewer(&first, now).is_none(), "the oldest ended");
        assert_ne!(secret(), secret());
    }

    #[test]
    fn a_token_gives_its_own_role() {
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let tokens = Tokens { admin: secret("one"), read: secret("two") };
        assert_eq!(tokens.role_of("one"), Some(Role::Admin));
        assert_eq!(tokens.role_of("two"), Some(Role::Read));
        assert_eq!(tokens.role_of("on"), None);
        assert_eq!(Tokens::default().role_of(""), None);
    }
}
