//! Options of `check`: those of `run`, so that it looks at what such a run would do.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::RunArgs;
use crate::config::Config;

/// Options of `check`.
#[derive(Debug)]
pub struct CheckArgs {
    /// What a run would be told.
    pub run: RunArgs,
    /// Whether a destination was named; without one only the source is looked at.
    pub destination: bool,
}

impl CheckArgs {
    /// The configuration of such a run.
    pub fn config(self) -> Config {
        self.run.into()
    }
}

impl Args for CheckArgs {
    fn augment_args(command: Command) -> Command {
        RunArgs::augment_args(command)
            .mut_arg("destination", |destination| {
                destination
                    .required(false)
                    .default_value("")
                    .hide_default_value(true)
                    .help("Where would be written: a URL as for `run`; without it only the source is looked at")
            })
            .mut_arg("json", |json| {
                json.help("What is found as JSON objects on standard output, one a line, for programs")
            })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for CheckArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let run = RunArgs::from_arg_matches(matches)?;
        // What stands in for it is a default too, and not empty.
        let is_default = matches.value_source("destination") == Some(ValueSource::DefaultValue);
        let destination = !is_default || !run.destination.is_empty();
        Ok(Self { run, destination })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
