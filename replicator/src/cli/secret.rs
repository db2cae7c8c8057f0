//! Passwords that stand in no URL: from a file, or from a command.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use clap::{Arg, Command, value_parser};

use crate::error::{Error, Result};
use crate::log::redact;

pub(crate) use url::password;
pub(super) use url::{has_password, with_password};

mod url;

/// Where passwords go, and the options that say where they are from.
struct Offer {
    url: &'static str,
    file: &'static str,
    file_variable: &'static str,
    file_help: &'static str,
    command: &'static str,
    command_variable: &'static str,
    command_help: &'static str,
}

const OFFERS: [Offer; 2] = [
    Offer {
        url: "source",
        file: "source-password-file",
        file_variable: "REPLICATOR_SOURCE_PASSWORD_FILE",
        file_help: "File that holds the password for the source, and nothing else",
        command: "source-password-command",
        command_variable: "REPLICATOR_SOURCE_PASSWORD_COMMAND",
        command_help: "Command, for sh, that prints the password for the source",
    },
    Offer {
        url: "destination",
        file: "destination-password-file",
        file_variable: "REPLICATOR_DESTINATION_PASSWORD_FILE",
        file_help: "File that holds the password for the destination, and nothing else",
        command: "destination-password-command",
        command_variable: "REPLICATOR_DESTINATION_PASSWORD_COMMAND",
        command_help: "Command, for sh, that prints the password for the destination",
    },
];

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest password.
const LONGEST: u64 = 64 << 10;

/// Lets every command that has a URL have a password for it.
pub(super) fn offer(command: Command) -> Command {
    command.mut_subcommands(|command| {
        OFFERS.iter().fold(command, |command, offer| {
            let Some(url) = command
                .get_arguments()
                .find(|arg| arg.get_id() == offer.url)
            else {
                return command;
            };
            let heading = url.get_help_heading().map(str::to_owned);
            let option = |name: &'static str, variable: &'static str, help: &'static str| {
                let arg = Arg::new(name).long(name).env(variable).help(help);
                // It is one of few, and kept for as long as the process lives.
                match heading.clone() {
                    Some(heading) => arg.help_heading(&*heading.leak()),
                    None => arg,
                }
            };
            let file = option(offer.file, offer.file_variable, offer.file_help)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .conflicts_with(offer.command);
            let program = option(offer.command, offer.command_variable, offer.command_help)
                .value_name("COMMAND")
                .hide_env_values(true);
            command.arg(file).arg(program)
        })
    })
}

/// How strongly something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    Default,
    File,
    Variable,
    Flag,
}

/// Puts passwords into URLs. `said` tells an option's value and how strongly it was said, and `put` changes one.
///
/// # Errors
///
/// There is no password where one is said to be, or two are said equally strongly.
pub(super) fn resolve(
    said: impl Fn(&str) -> Option<(String, Weight)>,
    mut put: impl FnMut(&str, String),
    warnings: &mut Vec<String>,
) -> Result<()> {
    for offer in &OFFERS {
        // Not given where it may be left out.
        let Some((url, of_url)) = said(offer.url).filter(|(url, _)| !url.is_empty()) else {
            continue;
        };
        let (file, command) = (said(offer.file), said(offer.command));
        // Of two that are not said equally strongly the stronger counts.
        let by_file = match (&file, &command) {
            (Some((_, file)), Some((_, command))) => file >= command,
            (file, _) => file.is_some(),
        };
        let (name, from) = if by_file {
            (offer.file, file)
        } else {
            (offer.command, command)
        };
        let Some((from, weight)) = from else {
            continue;
        };
        if has_password(&url) {
            if of_url > weight {
                continue;
            }
            if of_url == weight {
                return Err(Error::usage(format!(
                    "there is a password in --{} and another one by --{name}",
                    offer.url
                ))
                .with_hint("leave out one of both"));
            }
        }
        let secret = if by_file {
            of_file(Path::new(&from), name, warnings)?
        } else {
            of_command(&from, name)?
        };
        redact::learn(&secret);
        let url = with_password(&url, &secret).map_err(|why| {
            Error::usage(format!(
                "--{name} gives a password, but --{} {why}",
                offer.url
            ))
        })?;
        put(offer.url, url);
    }
    Ok(())
}

fn of_file(path: &Path, name: &str, warnings: &mut Vec<String>) -> Result<String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| {
        Error::usage(format!(
            "the password file {shown} of --{name} cannot be read"
        ))
        .with_hint("it has to exist, and this user has to be allowed to read it")
        .caused_by(error)
    };
    let file = fs::File::open(path).map_err(cannot)?;
    warn_if_open(&file, path, "password file", warnings);
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    one_line(bytes).map_err(|why| {
        Error::usage(format!("the password file {shown} of --{name} {why}"))
            .with_hint("it holds the password, and at most a line's end behind it")
    })
}

/// As libpq says it of its own; who mounts secrets that others may read is told and not stopped.
pub(super) fn warn_if_open(file: &fs::File, path: &Path, what: &str, warnings: &mut Vec<String>) {
    let mode = file.metadata().map(|it| it.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        warnings.push(format!(
            "{what} {} may be read by its group or by everybody; permissions should be 0600 or less",
            path.display()
        ));
    }
}

fn of_command(command: &str, name: &str) -> Result<String> {
    // Its words may be secret, and so may what it complains about.
    let failed = |how: String| {
        Error::usage(format!("the command of --{name} {how}"))
            .with_hint("nothing that it writes is shown here: run it by hand, as this user, to see")
    };
    let mut process = Process::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed("cannot be started".to_owned()).caused_by(error))?;
    let out = process.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(out) = out {
            let _ = out.take(LONGEST + 1).read_to_end(&mut bytes);
        }
        bytes
    });
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match process.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            _ => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(failed(format!(
                    "did not end within {} s",
                    PATIENCE.as_secs()
                )));
            }
        }
    };
    if !status.success() {
        return Err(failed(format!("failed ({status})")));
    }
    // What it left running in the background would keep the output open for ever.
    while !reader.is_finished() {
        if Instant::now() >= deadline {
            return Err(failed("left its output open".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let bytes = reader.join().unwrap_or_default();
    one_line(bytes).map_err(|why| failed(why.to_owned()))
}

/// A password, without the line's end behind it.
fn one_line(bytes: Vec<u8>) -> Result<String, &'static str> {
    if bytes.len() as u64 > LONGEST {
        return Err("holds more than a password");
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "holds what is no UTF-8")?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    match text {
        text if text.is_empty() => Err("is empty"),
        text if text.contains(['\n', '\r', '\0']) => Err("holds more than one line"),
        text => Ok(text),
    }
}
