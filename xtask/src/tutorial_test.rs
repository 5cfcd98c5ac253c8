//! `cargo xtask tutorial-test`: a tutorial is a program, and this runs it.
//!
//! [`page`] reads the steps, [`order`] checks that they fit each other, and [`reader`] does them: [`terminal`] is the shell for
//! the commands, [`expected`] compares what they print, [`change`] edits a file.

mod change;
mod expected;
mod order;
mod page;
mod reader;
mod step;
mod terminal;

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};

use self::reader::Reader;
use self::step::Step;
use crate::stop::Stop;
use crate::stranger::{ProgramsFlags, Stranger};

/// The page, within the repository.
const PAGE: &str = "docs/plugins/tutorial.md";
/// How the page names a port of this machine.
const HERE: &str = "127.0.0.1:";

/// Runs every command of docs/plugins/tutorial.md as a reader does, in an empty folder outside the repository, and compares
/// what they print with the page.
///
/// Each line of a `sh` block is a command. A `text` block is what they print: each of its lines, in this order, whatever stands
/// between; numbers and their units are not compared, and `…` stands for any text. A block after `file: PATH` is that file's
/// text, and a `diff` block a change of it. Further marks are `run: fails`; `run: stays as NAME`, for what runs in another
/// terminal until `ctrl-c: NAME`; `of: NAME`, for what that program prints; and `chat: TEXT`. Each is an HTML comment on a line
/// of its own.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TutorialTest {
    #[command(flatten)]
    programs: ProgramsFlags,
    /// Runs this page instead.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

impl TutorialTest {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let stop = Stop::on_signals()?;
        let file = self.page.clone().unwrap_or_else(|| root.join(PAGE));
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        let in_page = |error| anyhow!("{name}:{error:#}");
        let steps = page::read(&text).map_err(in_page)?;
        order::check(&steps).map_err(in_page)?;
        ensure_free_ports(&steps)?;
        let stranger = Stranger::arrives(root, &self.programs)?;
        let mut reader = Reader::new(&stranger, &stop)?;
        for step in &steps {
            reader.does(step).map_err(in_page)?;
        }
        drop(reader);
        stranger.has_left_nothing()
    }
}

/// A server of the page that cannot listen would be told by a failure much later.
fn ensure_free_ports(steps: &[Step]) -> anyhow::Result<()> {
    for text in steps.iter().flat_map(Step::texts) {
        for behind in text.split(HERE).skip(1) {
            let digits = behind.split(|sign: char| !sign.is_ascii_digit()).next();
            let Some(port) = digits.and_then(|digits| digits.parse::<u16>().ok()) else { continue };
            ensure!(
                TcpListener::bind(("127.0.0.1", port)).is_ok(),
                "something on this machine listens on port {port}, which the page uses; end it, or wait until it has ended"
            );
        }
    }
    Ok(())
}
