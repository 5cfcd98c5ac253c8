//! The frame of all pages, and what several of them show.

use axum::response::Html;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets;
use super::sessions::Viewer;

/// The pages in the menu: address, name.
const MENU: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/tasks", "Tasks"),
    ("/types", "Types"),
    ("/dead", "Dead letters"),
    ("/workers", "Workers"),
    ("/plugins", "Plugins"),
    ("/chats", "Chats"),
    ("/audit", "Changes"),
];

/// A piece of a page. One with an id is sent again when it changes.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) id: Option<&'static str>,
    pub(super) html: Markup,
}

/// A page without its frame.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) parts: Vec<Part>,
}

impl Page {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), parts: Vec::new() }
    }

    /// Adds a piece that stays as it is.
    #[must_use]
    pub(super) fn with(mut self, html: Markup) -> Self {
        self.parts.push(Part { id: None, html });
        self
    }

    /// Adds a piece that is kept up to date.
    #[must_use]
    pub(super) fn with_live(mut self, id: &'static str, html: Markup) -> Self {
        self.parts.push(Part { id: Some(id), html });
        self
    }
}

/// A page in its frame. `place` is its entry in the menu, `events` the address of its updates.
pub(super) fn framed(
    page: &Page,
    viewer: &Viewer,
    place: &str,
    events: Option<&str>,
    note: Option<&str>,
) -> Html<String> {
    document(
        &page.title,
        events,
        &html! {
            a .skip href="#main" { "Skip to the content" }
            header {
                div .bar {
                    a .name href="/" { img src=(assets::ICON.path) alt=""; "FreeFans" }
                    nav aria-label="Pages" {
                        ul {
                            @for (address, name) in MENU {
                                li { a href=(address) aria-current=[(*address == place).then_some("page")] { (name) } }
                            }
                        }
                    }
                    div .who {
                        span { (viewer.name) @if !viewer.is_admin() { " (may look)" } }
                        @if viewer.session.is_some() {
                            form method="post" action="/logout" { (csrf(viewer)) button .plain { "Log out" } }
                        }
                    }
                }
            }
            main #main tabindex="-1" {
                h1 { (page.title) }
                p #lost .card.health.warn role="status" hidden {
                    "The connection to the dashboard is lost. What you see is old."
                }
                @if let Some(note) = note { p .card.note role="status" { (note) } }
                @for part in &page.parts {
                    @if let Some(id) = part.id {
                        div id=(id) { (part.html) }
                    } @else {
                        (part.html)
                    }
                }
            }
        },
    )
}

/// A page without menu.
pub(super) fn bare(title: &str, content: &Markup) -> Html<String> {
    document(title, None, &html! { main #main { (content) } })
}

fn document(title: &str, events: Option<&str>, content: &Markup) -> Html<String> {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · FreeFans" }
                link rel="icon" href=(assets::ICON.path);
                link rel="stylesheet" href=(assets::STYLE.path);
                script src=(assets::SCRIPT.path) defer {}
            }
            body data-events=[events] { (content) }
        }
    };
    Html(document.into_string())
}

/// What every form carries.
pub(super) fn csrf(viewer: &Viewer) -> Markup {
    html! { input type="hidden" name="csrf" value=(viewer.csrf); }
}

/// A form with hidden fields and one button, for whoever may use it.
pub(super) fn button(
    viewer: &Viewer,
    action: &str,
    fields: &[(&str, &str)],
    class: &str,
    label: &str,
    of: &str,
) -> Markup {
    if !viewer.is_admin() {
        return PreEscaped(String::new());
    }
    html! {
        form method="post" action=(action) {
            (csrf(viewer))
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            // Many buttons have the same label; a screen reader says of what each is.
            button class=(class) aria-label=[(!of.is_empty()).then(|| format!("{label} {of}"))] { (label) }
        }
    }
}

/// A short word with a colour.
pub(super) fn tag(class: &str, word: &str) -> Markup {
    html! { span class={ "tag " (class) } { (word) } }
}

/// The link to a task.
pub(super) fn task_link(id: &str) -> Markup {
    html! { a href={ "/task?id=" (encoded(id)) } { code { (id) } } }
}

/// A text as part of an address.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
