//! Pictures and videos.

use serde::{Deserialize, Serialize};

/// Whether a medium is a picture or a video. Stored as whether it is a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub enum MediaKind {
    /// A picture.
    #[default]
    Photo,
    /// A video.
    Video,
}

impl MediaKind {
    /// The sign before its title in a list.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Photo => "🖼",
            Self::Video => "🎬",
        }
    }
}

impl From<bool> for MediaKind {
    fn from(is_video: bool) -> Self {
        if is_video { Self::Video } else { Self::Photo }
    }
}

impl From<MediaKind> for bool {
    fn from(kind: MediaKind) -> Self {
        kind == MediaKind::Video
    }
}

/// A picture or a video, as a session stores it and as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Picture or video.
    #[serde(rename = "video")]
    pub kind: MediaKind,
    /// Where it is.
    pub url: String,
    /// Its caption, as plain text.
    #[serde(default)]
    pub caption: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_of_an_older_release_is_read_and_its_form_kept() {
        let stored = json!({"video": true, "url": "https://c.example/1.mp4", "caption": null});
        let media: Media = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!((media.kind, media.caption.as_deref()), (MediaKind::Video, None));
        assert_eq!(serde_json::to_value(&media).unwrap(), stored);
    }
}
