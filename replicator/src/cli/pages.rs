//! `completions` and `man`: the command line, as shells and readers of manuals take it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::Cli;
use crate::error::{Error, Result};

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell; what is printed belongs where that looks for completions
    #[arg(value_enum)]
    pub shell: Shell,
}

impl CompletionsArgs {
    /// Prints them.
    ///
    /// # Errors
    ///
    /// Nobody reads them.
    pub fn run(&self, mut out: impl Write) -> Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::definition(), "replicator", &mut text);
        out.write_all(&text).map_err(cannot)
    }
}

/// Options of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for a page for each command; the page of the program is printed without this
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

impl ManArgs {
    /// Prints the page, or writes them all.
    ///
    /// # Errors
    ///
    /// Nobody reads it, or there is no such folder.
    pub fn run(&self, mut out: impl Write) -> Result<()> {
        let Some(folder) = &self.folder else {
            let mut text = Vec::new();
            let page = clap_mangen::Man::new(Cli::definition());
            page.render(&mut text).map_err(cannot)?;
            return out.write_all(&text).map_err(cannot);
        };
        let definition = Cli::definition().disable_help_subcommand(true);
        clap_mangen::generate_to(definition, folder).map_err(|error| {
            Error::usage(format!("no page can be written into {}", folder.display()))
                .with_hint("name a folder that exists")
                .caused_by(error)
        })
    }
}

fn cannot(error: std::io::Error) -> Error {
    Error::retry("it cannot be written").caused_by(error)
}
