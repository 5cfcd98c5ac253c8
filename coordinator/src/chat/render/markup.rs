//! The markup of plugins' texts: **bold**, _italic_, `code`, [links](https://…), lists and line breaks.
//!
//! The text is parsed as CommonMark, of which only this much is kept. A heading becomes a bold line; everything else, HTML
//! above all, stays text. The result is lines of runs, each with its whole style, so that a message can be cut anywhere.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::chat::sanitize::{escape, is_web_url, without_controls, without_mentions};

/// Deeper lists are shown as this deep.
const MAX_INDENT: usize = 4;

/// A piece of text in one style.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// Clean text without a line break.
    pub text: String,
    /// How it looks.
    pub style: Style,
}

/// How a piece of text looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Style {
    /// Bold.
    pub bold: bool,
    /// Italic.
    pub italic: bool,
    /// Monospaced. Telegram allows no other style with it.
    pub code: bool,
    /// The URL it links to.
    pub link: Option<String>,
}

/// A line of a message.
pub type Line = Vec<Run>;

impl Run {
    /// Text without a style.
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), style: Style::default() }
    }

    /// Its length as Telegram counts it.
    pub fn units(&self) -> usize {
        self.text.encode_utf16().count()
    }

    /// How many of Telegram's entities it makes.
    pub fn entities(&self) -> usize {
        let Style { bold, italic, code, link } = &self.style;
        [*bold, *italic, *code, link.is_some()].into_iter().filter(|set| *set).count()
    }

    /// As Telegram's HTML.
    pub fn html(&self) -> String {
        let mut html = escape(&self.text);
        // Telegram ignores entities without visible text.
        if self.text.trim().is_empty() {
            return html;
        }
        let Style { bold, italic, code, link } = &self.style;
        for (set, tag) in [(*code, "code"), (*italic, "i"), (*bold, "b")] {
            if set {
                html = format!("<{tag}>{html}</{tag}>");
            }
        }
        match link {
            Some(url) => format!("<a href=\"{}\">{html}</a>", escape(url)),
            None => html,
        }
    }
}

/// Reads a text. Empty lines stand between its paragraphs.
pub fn lines(source: &str) -> Vec<Line> {
    let mut reader = Reader::default();
    for event in Parser::new_ext(source, Options::empty()) {
        reader.take(event);
    }
    reader.end_line();
    reader.lines
}

/// The lines read so far, and the open elements.
#[derive(Default)]
struct Reader {
    lines: Vec<Line>,
    line: Line,
    /// Whether the line holds only a list marker so far.
    marked: bool,
    bold: usize,
    italic: usize,
    code: bool,
    /// URLs of the open links, the inner last; none for one that may not be linked.
    links: Vec<Option<String>>,
    /// The lists that are open, with their next numbers.
    lists: Vec<Option<u64>>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.open(tag),
            Event::End(tag) => self.close(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                self.text(&text, self.code);
            }
            Event::Code(text) => self.text(&text, true),
            // In a chat a single line break is meant as one.
            Event::SoftBreak | Event::HardBreak => self.break_line(),
            Event::Rule => {
                self.begin_block();
                self.text("———", false);
                self.end_line();
            }
            // These extensions are off.
            Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_) => {}
        }
    }

    fn open(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::BlockQuote(_) | Tag::HtmlBlock => self.begin_block(),
            Tag::Heading { .. } => {
                self.begin_block();
                self.bold += 1;
            }
            Tag::CodeBlock(_) => {
                self.begin_block();
                self.code = true;
            }
            Tag::List(first) => {
                self.begin_block();
                self.lists.push(first);
            }
            Tag::Item => self.begin_item(),
            Tag::Emphasis => self.italic += 1,
            Tag::Strong => self.bold += 1,
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.links.push(is_web_url(&dest_url).then(|| dest_url.into_string()));
            }
            // These extensions are off.
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Table(_)
            | Tag::TableHead
            | Tag::TableRow
            | Tag::TableCell
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => {}
        }
    }

    fn close(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::BlockQuote(_) | TagEnd::HtmlBlock | TagEnd::Item => {
                self.end_line();
            }
            TagEnd::Heading(_) => {
                self.bold = self.bold.saturating_sub(1);
                self.end_line();
            }
            TagEnd::CodeBlock => {
                self.code = false;
                self.end_line();
            }
            TagEnd::List(_) => {
                self.end_line();
                self.lists.pop();
            }
            TagEnd::Emphasis => self.italic = self.italic.saturating_sub(1),
            TagEnd::Strong => self.bold = self.bold.saturating_sub(1),
            TagEnd::Link | TagEnd::Image => {
                self.links.pop();
            }
            TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Table
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::TableCell
            | TagEnd::Strikethrough
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => {}
        }
    }

    /// Starts a new line, after an empty one unless inside a list.
    fn begin_block(&mut self) {
        if self.marked {
            return;
        }
        self.end_line();
        if self.lists.is_empty() && self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(Line::new());
        }
    }

    fn begin_item(&mut self) {
        self.end_line();
        let depth = self.lists.len().saturating_sub(1).min(MAX_INDENT);
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            Some(None) | None => "• ".to_owned(),
        };
        self.line.push(Run::plain(&format!("{}{marker}", "   ".repeat(depth))));
        self.marked = true;
    }

    fn text(&mut self, text: &str, code: bool) {
        let mut parts = text.split('\n');
        if let Some(first) = parts.next() {
            self.push(first, code);
        }
        for part in parts {
            self.break_line();
            self.push(part, code);
        }
    }

    fn push(&mut self, text: &str, code: bool) {
        let text =
            if code { without_controls(text) } else { without_mentions(&without_controls(text)) };
        if text.is_empty() {
            return;
        }
        self.marked = false;
        let link = self.links.iter().flatten().next_back().cloned();
        let code = code && link.is_none();
        let bold = self.bold > 0 && !code;
        let italic = self.italic > 0 && !code;
        let style = Style { bold, italic, code, link };
        match self.line.last_mut() {
            Some(last) if last.style == style => last.text.push_str(&text),
            Some(_) | None => self.line.push(Run { text, style }),
        }
    }

    fn break_line(&mut self) {
        self.marked = false;
        self.lines.push(std::mem::take(&mut self.line));
    }

    fn end_line(&mut self) {
        if !self.line.is_empty() {
            self.break_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        let html: Vec<String> =
            lines(source).iter().map(|line| line.iter().map(Run::html).collect()).collect();
        assert_eq!(html.join("\n"), expected, "{source}");
    }

    #[test]
    fn the_allowed_marks_become_tags() {
        check("**bold** _italic_ `code`", "<b>bold</b> <i>italic</i> <code>code</code>");
        check("**bold _both_**", "<b>bold </b><b><i>both</i></b>");
        check(
            "[here](https://a.example/?x=1&y=2)",
            "<a href=\"https://a.example/?x=1&amp;y=2\">here</a>",
        );
        check("**[here](https://a.example)**", "<a href=\"https://a.example\"><b>here</b></a>");
        check("<https://a.example>", "<a href=\"https://a.example\">https://a.example</a>");
        check("# Head\ntext", "<b>Head</b>\n\ntext");
    }

    #[test]
    fn lines_and_lists_stay_lines_and_lists() {
        check("one\ntwo\n\nthree  \nfour", "one\ntwo\n\nthree\nfour");
        check(
            "List:\n- a\n- b\n  1. c\n  2. d\n\nend",
            "List:\n\n• a\n• b\n   1. c\n   2. d\n\nend",
        );
        check("- a\n\n- b\n\n  more", "• a\n• b\nmore");
        check("7. a\n8. b", "7. a\n8. b");
        check("- a\n  ```\n  b\n  ```", "• a\n<code>b</code>");
        check("```\na < b\n\n  c\n```\nend", "<code>a &lt; b</code>\n\n<code>  c</code>\n\nend");
        check("a\n\n---\n\nb", "a\n\n———\n\nb");
        check("> quoted", "quoted");
    }

    #[test]
    fn everything_else_is_text() {
        check("<b>x</b> & <script>", "&lt;b&gt;x&lt;/b&gt; &amp; &lt;script&gt;");
        check("<div>\n<a href=\"x\">", "&lt;div&gt;\n&lt;a href=&quot;x&quot;&gt;");
        check("&lt;i&gt; &#x202e;x&#7;y", "&lt;i&gt; x y");
        check("[x](javascript:alert(1)) [y](tg://user?id=1) [z](/etc)", "x y z");
        check(
            "![a cat](https://a.example/cat.png)",
            "<a href=\"https://a.example/cat.png\">a cat</a>",
        );
        check(
            "~~gone~~ | a | b | 2*3*4 snake_case_name",
            "~~gone~~ | a | b | 2<i>3</i>4 snake_case_name",
        );
        check("**open _and `never closed", "**open _and `never closed");
        check("[`x`](https://a.example)", "<a href=\"https://a.example\">x</a>");
        check("**`x`**", "<code>x</code>");
    }

    #[test]
    fn text_made_to_hurt_is_read_like_any_other() {
        for part in [
            "*", "_", "**_", "[", "![", "](", "> ", "- ", "`", "<", "&", "[a](b", "\\", "1. ",
            "\u{202e}",
        ] {
            let source: String = part.repeat(16_000 / part.len());
            let _ = lines(&source);
        }
    }
}
