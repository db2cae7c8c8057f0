//! `config`: what a command would be told, and by whom.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, Args};

use super::file;
use super::given::{self, Given};
use super::{Aliases, Refused};
use crate::error::{Error, Result};
use crate::log::redact;

/// Options of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// One JSON object, for programs
    #[arg(long, env = "REPLICATOR_CONFIG_JSON")]
    pub json: bool,
    /// The command that it is about, with options as that takes them; run without this
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub command: Vec<OsString>,
}

impl ConfigArgs {
    /// Writes what there is to say.
    ///
    /// # Errors
    ///
    /// As those of the command that it is about; but nothing has to be given.
    pub fn run(self, cli: &super::GeneralArgs, mut out: impl Write) -> Result<(), Refused> {
        let aliases = Aliases::read(std::env::vars_os());
        let program = std::env::args_os().next();
        // A variable is heard anyway.
        let variable = std::env::var_os("REPLICATOR_CONFIG");
        let file = cli.config.clone();
        let file = file.filter(|file| Some(file.as_os_str()) != variable.as_deref());
        let arguments = given::inner(program, file, self.command);
        let command = given::command(&aliases);
        let given = given::read(command, arguments, true)?;
        let effective = Effective::of(&given, &aliases);
        let text = if self.json {
            effective.json()
        } else {
            effective.toml()
        };
        out.write_all(text.as_bytes()).map_err(|error| {
            Error::retry("the configuration cannot be written").caused_by(error)
        })?;
        Ok(())
    }
}

/// Every option of a command.
struct Effective {
    command: String,
    settings: Vec<Setting>,
}

struct Setting {
    name: String,
    /// As a file has it.
    value: Option<serde_json::Value>,
    from: From,
}

/// Who said it.
enum From {
    Nobody,
    Default,
    /// Variables that speak to `pg2any`.
    Aliases(String),
    File(file::Place),
    Variable(String),
    Flag,
}

impl Effective {
    fn of(given: &Given, aliases: &Aliases) -> Self {
        let Some((name, _)) = given.subcommand() else {
            return Self {
                command: String::new(),
                settings: Vec::new(),
            };
        };
        let command = given.command.find_subcommand(name);
        let args = command
            .into_iter()
            .flat_map(|command| command.get_arguments());
        let args = args.filter(|arg| {
            let id = arg.get_id().as_str();
            arg.get_long().is_some() && !arg.is_hide_set() && !["help", "version"].contains(&id)
        });
        Self {
            command: name.to_owned(),
            settings: args.map(|arg| setting(given, aliases, name, arg)).collect(),
        }
    }

    /// TOML that could be a file, but for what is secret.
    fn toml(&self) -> String {
        let mut out = format!("# replicator {}\n", self.command);
        let lines = self.settings.iter().map(|it| {
            let text = match &it.value {
                // A file cannot name itself.
                Some(value) if it.name == "config" => format!("# {} = {}", it.name, toml(value)),
                Some(value) => format!("{} = {}", it.name, toml(value)),
                None => format!("# {}", it.name),
            };
            (text, it.from.to_string())
        });
        let lines: Vec<(String, String)> = lines.collect();
        let width = lines.iter().map(|(text, _)| text.chars().count());
        let width = width.filter(|it| *it <= 60).max().unwrap_or_default();
        for (text, from) in &lines {
            let _ = writeln!(out, "{text:width$}  # {from}");
        }
        out
    }

    fn json(&self) -> String {
        let settings = self.settings.iter().map(|it| {
            let mut object = serde_json::json!({
                "name": it.name,
                "value": it.value,
                "from": it.from.kind(),
            });
            let more = match &it.from {
                From::File(place) => serde_json::json!({
                    "file": place.file.to_string_lossy(),
                    "line": place.line,
                    "column": place.column,
                }),
                From::Variable(name) => serde_json::json!({ "variable": name }),
                From::Aliases(names) => serde_json::json!({ "variable": names }),
                _ => serde_json::json!({}),
            };
            if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
                object.extend(more.clone());
            }
            object
        });
        let settings: Vec<serde_json::Value> = settings.collect();
        let all = serde_json::json!({ "command": self.command, "options": settings });
        format!("{all}\n")
    }
}

fn setting(given: &Given, aliases: &Aliases, command: &str, arg: &Arg) -> Setting {
    let id = arg.get_id().as_str();
    let said = given.subcommand().map(|(_, said)| said);
    let source = said.and_then(|said| said.value_source(id));
    let place = given.placed.iter().find(|one| one.id == id);
    let from = match (source, place) {
        (Some(ValueSource::CommandLine), Some(one)) => From::File(one.place.clone()),
        (Some(ValueSource::CommandLine), None) => From::Flag,
        (Some(ValueSource::EnvVariable), _) => {
            let name = arg.get_env().unwrap_or_default();
            From::Variable(name.to_string_lossy().into_owned())
        }
        (Some(_), _) => match aliases
            .variables(id)
            .filter(|_| ["run", "check"].contains(&command))
        {
            Some(variables) => From::Aliases(variables),
            None => From::Default,
        },
        // A list in a file that holds nothing.
        (None, Some(one)) => From::File(one.place.clone()),
        (None, None) => From::Nobody,
    };
    let raw = said.and_then(|said| said.get_raw(id));
    let texts: Vec<String> = raw
        .into_iter()
        .flatten()
        .map(|text| match id.ends_with("password-command") {
            // The command's words may be the secret.
            true => redact::HIDDEN.to_owned(),
            false => redact::value(&text.to_string_lossy(), arg.is_hide_env_values_set()),
        })
        .collect();
    let value = match (arg.get_action(), texts) {
        (ArgAction::SetTrue, _) => {
            let on = said.is_some_and(|said| said.get_flag(id));
            Some(on.into())
        }
        (ArgAction::Append, texts) if matches!(from, From::Nobody) && texts.is_empty() => None,
        (ArgAction::Append, texts) => Some(texts.into()),
        (_, texts) => texts.into_iter().next().map(|text| {
            match text.parse::<u64>() {
                // As it would have to be written in a file.
                Ok(number) if file::is_integer(arg) => number.into(),
                _ => text.into(),
            }
        }),
    };
    Setting {
        name: arg.get_long().unwrap_or(id).to_owned(),
        value,
        from,
    }
}

impl From {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Nobody => "nothing",
            Self::Default => "default",
            Self::Aliases(_) | Self::Variable(_) => "environment",
            Self::File(_) => "file",
            Self::Flag => "option",
        }
    }
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nobody => f.write_str("not set"),
            Self::Default => f.write_str("default"),
            Self::Aliases(names) | Self::Variable(names) => f.write_str(names),
            Self::File(place) => write!(f, "{}:{}", place.file.display(), place.line),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// A value as TOML; what JSON writes is TOML too, but for one letter.
fn toml(value: &serde_json::Value) -> String {
    value.to_string().replace('\u{7f}', "\\u007F")
}
