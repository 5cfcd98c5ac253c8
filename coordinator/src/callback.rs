//! What a button carries: a short token into the session, within Telegram's limit.

/// Bot API: `callback_data` is 1–64 bytes.
pub const MAX_BYTES: usize = 64;

/// What a pressed button asks for. `view` names a result set or a content view in the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// Open the creator at this place of a result set.
    Choose {
        /// The result set.
        view: String,
        /// The place, from 0.
        place: usize,
    },
    /// Show a page of a content view that is loaded already.
    Page {
        /// The content view.
        view: String,
        /// The page, from 0.
        page: usize,
    },
    /// Load the pages behind those that are loaded.
    More {
        /// The content view.
        view: String,
    },
    /// Back to a result set.
    Results {
        /// The result set.
        view: String,
    },
    /// Ask the forum with a result set's query.
    Extended {
        /// The result set.
        view: String,
    },
    /// Another creator by chance.
    Random,
}

impl Token {
    /// The text that Telegram carries.
    pub fn encode(&self) -> String {
        match self {
            Self::Choose { view, place } => format!("c:{view}:{place}"),
            Self::Page { view, page } => format!("p:{view}:{page}"),
            Self::More { view } => format!("m:{view}"),
            Self::Results { view } => format!("r:{view}"),
            Self::Extended { view } => format!("e:{view}"),
            Self::Random => "x".to_owned(),
        }
    }

    /// Reads such a text; none when it is not one of ours.
    pub fn decode(data: &str) -> Option<Self> {
        let mut parts = data.split(':');
        let kind = parts.next()?;
        if kind == "x" && parts.next().is_none() {
            return Some(Self::Random);
        }
        let mut parts = data.split(':').skip(1);
        let view = parts.next().filter(|view| is_view(view))?.to_owned();
        let number = parts.next();
        if parts.next().is_some() {
            return None;
        }
        match (kind, number) {
            ("c", Some(place)) => Some(Self::Choose { view, place: place.parse().ok()? }),
            ("p", Some(page)) => Some(Self::Page { view, page: page.parse().ok()? }),
            ("m", None) => Some(Self::More { view }),
            ("r", None) => Some(Self::Results { view }),
            ("e", None) => Some(Self::Extended { view }),
            _ => None,
        }
    }
}

/// Whether a text can name a view: hex digits, as made by [`crate::flow::view_name`].
fn is_view(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_reads_back_and_fits() {
        let view = "0123456789abcdef".to_owned();
        for token in [
            Token::Choose { view: view.clone(), place: usize::MAX },
            Token::Page { view: view.clone(), page: usize::MAX },
            Token::More { view: view.clone() },
            Token::Results { view: view.clone() },
            Token::Extended { view },
            Token::Random,
        ] {
            let data = token.encode();
            assert!(data.len() <= MAX_BYTES, "{data}");
            assert_eq!(Token::decode(&data), Some(token));
        }
    }

    #[test]
    fn what_is_not_ours_is_nothing() {
        for data in
            ["", "c", "c:", "c:zz:1", "c:ab:x", "c:ab:1:2", "m:ab:1", "y:ab", "x:1", "p:ab:-1"]
        {
            assert_eq!(Token::decode(data), None, "{data}");
        }
    }
}
