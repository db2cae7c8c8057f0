//! A file that holds options: every long option's name is a key, in TOML.
//!
//! What a key takes follows from the option as the command line knows it, so that a new option is a new key by itself.
//! Keys outside of a table are for all commands; those in a table that has a command's name are for that one, and count
//! more. An option whose variable is not `REPLICATOR_` and its own name means something else than its namesakes (a
//! recording's slot is not a replication's), and is set in its command's table alone.

mod value;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, Id};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};
use crate::log::redact;
use crate::names::nearest;
pub(super) use value::is_integer;

/// An option that the file sets.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) id: Id,
    /// As arguments have it: `--slot=shop`.
    pub(super) arguments: Vec<String>,
    pub(super) place: Place,
}

/// Where something stands, counted from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// What the file at `path` says to the command of that name.
///
/// All of it is looked at, whichever command it is for.
///
/// # Errors
///
/// It cannot be read, is no TOML, has a key that no command knows or a value that cannot be the key's.
pub(super) fn read(path: &Path, command: &Command, name: &str) -> Result<Vec<Placed>> {
    let text = fs::read_to_string(path).map_err(|error| {
        Error::usage(format!("the configuration {} cannot be read", path.display()))
            .with_hint("name one that exists and that this user may read with --config, or leave --config and REPLICATOR_CONFIG out")
            .caused_by(error)
    })?;
    let file = File { path, text: &text };
    let table = DeTable::parse(&text).map_err(|error| {
        let place = file.place(error.span().map_or(0, |span| span.start));
        let said = redact(error.message()).replace('\n', ", ");
        Error::usage(format!("{place}: {said}")).with_hint(
            "it is TOML: name = \"text\", name = 5, name = true, name = [\"one\", \"two\"]",
        )
    })?;
    let mut errors = Vec::new();
    let mut placed: Vec<(usize, Placed)> = Vec::new();
    let mut entry = |of: Option<&Command>, key: &Key<'_>, value: &Spanned<DeValue<'_>>| match file
        .entry(command, name, of, key, value)
    {
        Ok(Some(one)) => placed.push((usize::from(of.is_some()), one)),
        Ok(None) => {}
        Err(error) => errors.push((key.span().start, error)),
    };
    for (key, value) in table.get_ref() {
        let of = commands(command).find(|it| it.get_name() == key.get_ref());
        match (of, value.get_ref()) {
            // No option has the name of a command, and a map is no command's name.
            (Some(of), DeValue::Table(entries)) => {
                for (key, value) in entries {
                    entry(Some(of), key, value);
                }
            }
            _ => entry(None, key, value),
        }
    }
    if !errors.is_empty() {
        errors.sort_by_key(|(at, _)| *at);
        return Err(Error::all(
            errors.into_iter().map(|(_, error)| error).collect(),
        ));
    }
    // What stands in the command's own table counts more.
    placed.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let mut seen = Vec::new();
    placed.retain(|(_, one)| {
        let new = !seen.contains(&one.id);
        seen.push(one.id.clone());
        new
    });
    Ok(placed.into_iter().map(|(_, one)| one).collect())
}

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;

/// Commands that have options.
fn commands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|it| {
        it.get_arguments().any(|arg| option(arg).is_some()) && it.get_name() != "config"
    })
}

/// The name of an option that a file may have; hidden ones are for tests, and a file cannot name itself.
fn option(arg: &Arg) -> Option<&str> {
    let name = arg
        .get_long()
        .filter(|_| !arg.is_positional() && !arg.is_hide_set())?;
    (!["config", "help", "version"].contains(&name)).then_some(name)
}

/// Whether an option means the same for all commands that have it.
pub(super) fn is_shared(arg: &Arg) -> bool {
    let variable = arg.get_env().and_then(|name| name.to_str());
    let name = arg.get_long().unwrap_or_default();
    let own = name.to_ascii_uppercase().replace('-', "_");
    variable.and_then(|variable| variable.strip_prefix("REPLICATOR_")) == Some(&own)
}

#[derive(Clone, Copy)]
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    /// What one key says to the command of that name, if anything.
    fn entry(
        self,
        command: &Command,
        name: &str,
        of: Option<&Command>,
        key: &Key<'_>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Option<Placed>> {
        let wanted = &**key.get_ref();
        // The root's options are every command's.
        let all = || match of {
            Some(of) => vec![command, of],
            None => std::iter::once(command).chain(commands(command)).collect(),
        };
        let args = |of: &Command| -> Vec<Arg> {
            of.get_arguments()
                .filter(|arg| option(arg).is_some())
                .cloned()
                .collect()
        };
        // Whose it is, and what it is there.
        let known: Vec<(String, Arg)> = all()
            .into_iter()
            .flat_map(|of| {
                args(of)
                    .into_iter()
                    .map(|arg| (of.get_name().to_owned(), arg))
            })
            .collect();
        let place = self.place(key.span().start);
        let named = || {
            known
                .iter()
                .filter(|(_, arg)| arg.get_long() == Some(wanted))
        };
        let fits = |arg: &Arg| of.is_some() || is_shared(arg);
        if let Some((owner, _)) = named().next()
            && !named().any(|(_, arg)| fits(arg))
        {
            return Err(Error::usage(format!(
                "{place}: the key {wanted:?} belongs into the table of its command"
            ))
            .with_hint(format!("write it below [{owner}]")));
        }
        let here = |owner: &str| match of {
            Some(of) => of.get_name() == name,
            None => owner == name || owner == command.get_name(),
        };
        let found = named()
            .filter(|(_, arg)| fits(arg))
            .max_by_key(|(owner, _)| here(owner));
        let Some((owner, arg)) = found else {
            return Err(self.unknown(&place, wanted, of, &known, command));
        };
        let values = value::texts(arg, value).map_err(|wrong| {
            let place = self.place(wrong.at);
            let error = Error::usage(format!("{place}: {wanted}: {}", wrong.what));
            match wrong.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })?;
        let arguments = values.into_iter().map(|value| match value {
            Some(value) => format!("--{wanted}={value}"),
            None => format!("--{wanted}"),
        });
        Ok(here(owner).then(|| Placed {
            id: arg.get_id().clone(),
            arguments: arguments.collect(),
            place,
        }))
    }

    fn unknown(
        self,
        place: &Place,
        wanted: &str,
        of: Option<&Command>,
        known: &[(String, Arg)],
        command: &Command,
    ) -> Error {
        let names = known
            .iter()
            .filter(|(_, arg)| of.is_some() || is_shared(arg))
            .filter_map(|(_, arg)| arg.get_long());
        let tables = commands(command)
            .map(Command::get_name)
            .filter(|_| of.is_none());
        let error = Error::usage(match of {
            Some(of) => format!(
                "{place}: the command {} has no option {wanted:?}",
                of.get_name()
            ),
            None => format!("{place}: there is no option {wanted:?}"),
        });
        // As variables are written, which are not keys.
        let spelled = wanted.to_ascii_lowercase().replace('_', "-");
        let spelled = spelled.strip_prefix("replicator-").unwrap_or(&spelled);
        match nearest(spelled, names.chain(tables)) {
            Some(name) => error.with_hint(format!("the nearest name is {name}")),
            None => error.with_hint(
                "a key is the name of an option without its dashes; replicator COMMAND --help lists them",
            ),
        }
    }

    /// Line and column of a byte.
    fn place(self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        Place {
            file: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
        }
    }
}

/// Bytes of the file.
type Span = Range<usize>;

#[cfg(test)]
mod tests;
