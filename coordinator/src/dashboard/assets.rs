//! The style sheet, the script and the icon. Their addresses carry their digest, so that browsers keep them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// One file.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its address.
    pub(super) path: String,
    kind: &'static str,
    text: &'static str,
}

fn asset(name: &str, ending: &str, kind: &'static str, text: &'static str) -> Asset {
    let digest = Sha256::digest(text);
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Asset { path: format!("/assets/{name}-{digest}.{ending}"), kind, text }
}

pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    asset("dashboard", "css", "text/css; charset=utf-8", include_str!("dashboard.css"))
});
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    asset("dashboard", "js", "text/javascript; charset=utf-8", include_str!("dashboard.js"))
});
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| asset("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

/// Serves a file.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let all = [&*STYLE, &*SCRIPT, &*ICON];
    let found = all.into_iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(&name));
    let Some(asset) = found else { return StatusCode::NOT_FOUND.into_response() };
    let kept = "public, max-age=31536000, immutable";
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, kept)];
    (headers, asset.text).into_response()
}
