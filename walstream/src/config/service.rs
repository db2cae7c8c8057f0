//! Service files: parameters under a name, for several programs to share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment::{Environment, SYSTEM_FOLDER};
use super::parameter::{Origin, Value, known};
use crate::conninfo::is_blank;
use crate::error::{Error, Result};

/// The parameters of a service; the first of a name counts.
// fe-connect.c: parseServiceInfo
pub(super) fn read(service: &str, environment: &Environment) -> Result<Vec<Value>> {
    // The file that a variable names has to be there, the others may be.
    let own = match environment.path("PGSERVICEFILE") {
        Some(file) => Some(text(file)?).map(|text| (file.to_owned(), text)),
        None => match environment.home() {
            Some(home) => optional(home.join(".pg_service.conf"))?,
            None => None,
        },
    };
    if let Some((file, text)) = own
        && let Some(values) = section(service, file, &text)?
    {
        return Ok(values);
    }
    let folder = environment.path(SYSTEM_FOLDER);
    if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty())
        && let Some((file, text)) = optional(folder.join("pg_service.conf"))?
        && let Some(values) = section(service, file, &text)?
    {
        return Ok(values);
    }
    Err(Error::config(format!(
        "there is no service \"{}\"",
        service.escape_debug()
    ))
    .with_hint(
        "Services stand in the file that PGSERVICEFILE names, or ~/.pg_service.conf, or pg_service.conf in the folder that PGSYSCONFDIR names, each under [its name].",
    ))
}

fn optional(file: PathBuf) -> Result<Option<(PathBuf, String)>> {
    if !file.exists() {
        return Ok(None);
    }
    let text = text(&file)?;
    Ok(Some((file, text)))
}

fn text(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| {
        Error::config(format!(
            "the service file {} cannot be read",
            file.display()
        ))
        .with_source(error)
    })
}

// fe-connect.c: parseServiceFile
fn section(service: &str, file: PathBuf, text: &str) -> Result<Option<Vec<Value>>> {
    let file = Arc::new(file);
    let mut found: Option<Vec<Value>> = None;
    for (line, number) in text.split('\n').zip(1..) {
        let line = line.trim_matches(is_blank);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(head) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if head
                .strip_prefix(service)
                .is_some_and(|tail| tail.starts_with(']'))
            {
                found = Some(Vec::new());
            }
            continue;
        }
        let Some(values) = &mut found else {
            continue;
        };
        // No blanks around the =, and those of a value count. Untold what is there: it may be a password.
        let wrong = |what: &str| {
            Error::config(format!("line {number} of {} {what}", file.display()))
                .with_hint("A line of a service is name=value, without blanks around the =.")
        };
        let Some((name, value)) = line.split_once('=') else {
            return Err(wrong("is not name=value"));
        };
        if name == "service" {
            return Err(wrong("names a service, and one cannot refer to another"));
        }
        let name = known(name).ok_or_else(|| wrong("is not about a connection parameter"))?;
        if value.contains('\0') {
            return Err(wrong("contains a zero byte"));
        }
        if values.iter().all(|before| before.name != name) {
            values.push(Value {
                name,
                text: value.to_owned(),
                origin: Origin::Service(Arc::clone(&file), number),
            });
        }
    }
    Ok(found)
}
