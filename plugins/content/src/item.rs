//! One picture or video of a creator.

use serde_json::{Value, json};

/// Picture or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A picture.
    Picture,
    /// A video.
    Video,
}

impl Kind {
    /// The published word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Picture => "picture",
            Self::Video => "video",
        }
    }

    /// From the published word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "picture" => Some(Self::Picture),
            "video" => Some(Self::Video),
            _ => None,
        }
    }
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Unique among all items; orders items of one day.
    pub id: String,
    /// What to show.
    pub title: String,
    /// Where it is.
    pub url: String,
    /// What it is.
    pub kind: Kind,
    /// The day it was posted, `YYYY-MM-DD`.
    pub date: String,
}

impl Item {
    /// The key that pages are cut by: newest first, then the larger id.
    pub fn key(&self) -> (&str, &str) {
        (&self.date, &self.id)
    }

    /// In the published form.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "title": self.title,
            "url": self.url,
            "type": self.kind.as_str(),
            "date": self.date,
        })
    }
}
