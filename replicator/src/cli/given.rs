//! What a command line, the environment and a file say together.
//!
//! A file's options are put behind those of the command line where neither that nor a variable says anything, so that
//! everything else (what an option takes, needs and excludes) is decided in one place.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::file::{self, Placed};
use super::secret::{self, Weight};
use super::{Aliases, Cli, LogFormatArg, Refused};
use crate::log;

/// What was said, and where.
pub(super) struct Given {
    /// All options there are, as the command line has them.
    pub(super) command: Command,
    pub(super) matches: ArgMatches,
    /// What the file says and nothing else does.
    pub(super) placed: Vec<Placed>,
    /// For the log, once there is one.
    pub(super) warnings: Vec<String>,
}

/// Reads it all. With `lenient` what has to be said may be missing.
pub(super) fn read(
    command: Command,
    arguments: Vec<OsString>,
    lenient: bool,
) -> Result<Given, Refused> {
    let relaxed = command
        .clone()
        .mut_subcommands(|command| command.mut_args(|arg| arg.required(false)));
    let mut given = Given {
        command: if lenient { relaxed.clone() } else { command },
        matches: ArgMatches::default(),
        placed: Vec::new(),
        warnings: Vec::new(),
    };
    // Which file, and what is said without it. What is wrong is found the second time.
    let first = relaxed
        .ignore_errors(true)
        .try_get_matches_from(arguments.clone())
        .map_err(Refused::from)?;
    let format = first.try_get_one::<LogFormatArg>("log_format").ok();
    if let Some(format) = format.flatten() {
        log::set_format((*format).into());
    }
    let mut all = arguments;
    if let Some((name, said)) = first.subcommand()
        && let Ok(Some(path)) = said.try_get_one::<PathBuf>("config")
    {
        // Variables that are set to nothing are as good as not set.
        if !path.as_os_str().is_empty() {
            given.open(path, name, said, &mut all)?;
        }
    }
    let parsed = given.command.try_get_matches_from_mut(all);
    given.matches = parsed.map_err(|error| match given.placed.first() {
        Some(one) => Refused::with_file(error, &one.place.file),
        None => error.into(),
    })?;
    Ok(given)
}

impl Given {
    fn open(
        &mut self,
        path: &PathBuf,
        name: &str,
        said: &ArgMatches,
        arguments: &mut Vec<OsString>,
    ) -> Result<(), Refused> {
        self.placed = file::read(path, &self.command, name)?;
        let Some(command) = self.command.find_subcommand(name) else {
            return Ok(());
        };
        let args = || command.get_arguments().chain(self.command.get_arguments());
        let explicit = |id: &str| {
            let source = said
                .try_contains_id(id)
                .ok()
                .and_then(|_| said.value_source(id));
            source.is_some_and(|source| source != ValueSource::DefaultValue)
        };
        let holds_secret = self.placed.iter().any(|one| {
            let url = ["source", "destination"].contains(&one.id.as_str());
            let value = one.arguments.iter().filter_map(|it| it.split_once('='));
            url && value.into_iter().any(|(_, url)| secret::has_password(url))
        });
        if holds_secret && let Ok(file) = fs::File::open(path) {
            let what = "the configuration holds a password, and";
            secret::warn_if_open(&file, path, what, &mut self.warnings);
        }
        let weaker = |one: &Placed| {
            // Also where something else is said that excludes it.
            let excludes = |one: &Arg, other: &Arg| {
                let conflicts = command.get_arg_conflicts_with(one);
                conflicts.iter().any(|arg| arg.get_id() == other.get_id())
            };
            let arg = args().find(|arg| *arg.get_id() == one.id);
            let excluded = arg.is_some_and(|arg| {
                args().any(|other| {
                    explicit(other.get_id().as_str())
                        && (excludes(arg, other) || excludes(other, arg))
                })
            });
            explicit(one.id.as_str()) || excluded
        };
        let kept: Vec<Placed> = self
            .placed
            .iter()
            .filter(|one| !weaker(one))
            .cloned()
            .collect();
        let end = arguments.iter().skip(1).position(|it| it == "--");
        let at = end.map_or(arguments.len(), |at| at + 1);
        let more = kept.iter().flat_map(|one| &one.arguments);
        let more: Vec<OsString> = more.map(OsString::from).collect();
        arguments.splice(at..at, more);
        self.placed = kept;
        Ok(())
    }

    /// The command, and what is said to it.
    pub(super) fn subcommand(&self) -> Option<(&str, &ArgMatches)> {
        self.matches.subcommand()
    }

    /// How strongly an option was said; not at all if nobody and no default says it.
    pub(super) fn weight(&self, id: &str) -> Option<Weight> {
        let (_, said) = self.subcommand()?;
        said.try_contains_id(id).ok()?;
        Some(match said.value_source(id)? {
            ValueSource::CommandLine if self.placed.iter().any(|one| one.id == id) => Weight::File,
            ValueSource::CommandLine => Weight::Flag,
            ValueSource::EnvVariable => Weight::Variable,
            _ => Weight::Default,
        })
    }

    /// The text of an option that has one.
    pub(super) fn text(&self, id: &str) -> Option<String> {
        let (_, said) = self.subcommand()?;
        let mut raw = said.try_get_raw(id).ok()??;
        raw.next().map(|text| text.to_string_lossy().into_owned())
    }
}

/// All commands, with what the environment says to `pg2any` as defaults.
pub(super) fn command(aliases: &Aliases) -> Command {
    Cli::definition()
        .mut_subcommand("run", |run| aliases.put(run))
        .mut_subcommand("check", |check| aliases.put(check))
}

/// What the options of `config` are, as those of the command that is meant.
pub(super) fn inner(
    program: Option<OsString>,
    file: Option<PathBuf>,
    rest: Vec<OsString>,
) -> Vec<OsString> {
    let mut arguments = vec![program.unwrap_or_else(|| "replicator".into())];
    if let Some(file) = file {
        arguments.push("--config".into());
        arguments.push(file.into());
    }
    let begins = |text: &OsStr| text.as_encoded_bytes().starts_with(b"-");
    if rest.first().is_none_or(|first| begins(first)) {
        arguments.push("run".into());
    }
    arguments.extend(rest);
    arguments
}
