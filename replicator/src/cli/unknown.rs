//! Variables that look like ours and are none: mistyped ones do nothing, which is what somebody wants to know.

use std::ffi::OsString;

use clap::Command;

use crate::names::nearest;

const OURS: &str = "REPLICATOR_";

/// For tests and their failpoints.
const OTHERS: [&str; 3] = [
    "REPLICATOR_TEST_",
    "REPLICATOR_FAILPOINT",
    "REPLICATOR_PART_BYTES",
];

/// A warning for each, which says its name and not what it is set to.
pub(super) fn variables(
    command: &Command,
    environment: impl IntoIterator<Item = OsString>,
) -> Vec<String> {
    let all = std::iter::once(command).chain(command.get_subcommands());
    let known: Vec<&str> = all
        .flat_map(Command::get_arguments)
        .filter_map(|arg| arg.get_env()?.to_str())
        .collect();
    let unknown = environment.into_iter().filter_map(|name| {
        let name = name.into_string().ok()?;
        let other = OTHERS.iter().any(|it| name.starts_with(it));
        (name.starts_with(OURS) && !other && !known.contains(&&*name)).then_some(name)
    });
    let warning = |name: String| match nearest(&name, known.iter().copied()) {
        Some(near) => {
            format!("no option has the environment variable {name}; the nearest is {near}")
        }
        None => format!("no option has the environment variable {name}"),
    };
    unknown.map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    #[test]
    fn mistyped_variables_are_named() {
        let environment = [
            "REPLICATOR_SLTO",
            "REPLICATOR_SLOT",
            "REPLICATOR_TEST_X",
            "REPLICATION_SLTO",
            "HOME",
        ];
        let environment = environment.into_iter().map(OsString::from);
        assert_eq!(
            variables(&Cli::definition(), environment),
            [
                "no option has the environment variable REPLICATOR_SLTO; the nearest is REPLICATOR_SLOT"
            ]
        );
    }
}
