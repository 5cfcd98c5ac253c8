//! The commands in a document: blocks that begin with three backticks, `sh`, the servers that run them, and perhaps `service`.

/// A block of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it begins in the document.
    pub(super) line: usize,
    /// Who runs it, one after the other.
    pub(super) servers: Vec<String>,
    /// It goes on running.
    pub(super) service: bool,
    pub(super) script: String,
}

/// The blocks under the heading that begins with `heading`.
pub(super) fn blocks(document: &str, heading: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut is_wanted = false;
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(document.lines()) {
        if let Some(block) = &mut open {
            if line == "```" {
                blocks.extend(open.take());
            } else {
                block.script.push_str(line);
                block.script.push('\n');
            }
        } else if let Some(title) = line.strip_prefix("## ") {
            is_wanted = title.starts_with(heading);
        } else if let Some(words) = line.strip_prefix("```sh ").filter(|_| is_wanted) {
            let (services, servers): (Vec<&str>, Vec<&str>) =
                words.split_whitespace().partition(|word| *word == "service");
            open = Some(Block {
                line: number,
                servers: servers.into_iter().map(str::to_owned).collect(),
                service: !services.is_empty(),
                script: String::new(),
            });
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_blocks_of_a_heading_that_name_a_server_are_run() {
        let text = "## One\n```sh a\nno\n```\n## Two servers: x\n    no\n```sh a b service\none\ntwo\n```\n```text\nno\n```\n\
                    ## Three\n```sh a\nno\n```\n";
        let expected = Block {
            line: 7,
            servers: vec!["a".to_owned(), "b".to_owned()],
            service: true,
            script: "one\ntwo\n".to_owned(),
        };
        assert_eq!(blocks(text, "Two"), [expected]);
    }
}
