//! The environment variables of `pg2any`, as far as they mean something here.
//!
//! They stand in for options of `run`, and of `check` before it, that neither the command line nor a variable of ours
//! gives; other commands do not look at them. `docs/moving-from-pg2any.md` holds the same table for people.

mod translate;

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::error::{Error, Result};
use crate::names::nearest;
use Does::{Destination, Nothing, Option as As, Source};
use translate::{destination, mappings, source, streaming, yes};

/// What one variable does here.
struct Alias {
    name: &'static str,
    does: Does,
    /// For people; the table in the documentation says the same.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "compared with the documentation by a test")
    )]
    says: &'static str,
}

/// What becomes of a value.
enum Does {
    /// It is the option's, as this makes it; none leaves the option as it is.
    Option(
        &'static str,
        fn(&str) -> Result<Option<String>, &'static str>,
    ),
    /// A part of `--source`.
    Source,
    /// A part of `--destination`, and of what names there mean.
    Destination,
    /// There is nothing here that it could set.
    Nothing,
}

fn same(value: &str) -> Result<Option<String>, &'static str> {
    Ok(Some(value.to_owned()))
}

fn seconds(value: &str) -> Result<Option<String>, &'static str> {
    let number = value.parse::<u64>().ok().filter(|it| *it <= 86_400);
    number
        .map(|it| Some(it.to_string()))
        .ok_or("a number of seconds")
}

fn version(value: &str) -> Result<Option<String>, &'static str> {
    match value {
        "1" | "2" | "3" | "4" => Ok(Some(value.to_owned())),
        _ => Err("1, 2, 3 or 4"),
    }
}

const BYTES: &str = "nothing: what waits is bounded in bytes, by `--memory` and `--spool-limit`";
const WHOLE: &str =
    "nothing: source transactions stay whole; see `--batch-size` and `--batch-transactions`";
const BINARY: &str = "nothing: values are read as text, which is exact";
const KAFKA: &str = "nothing: Kafka is no destination yet";

const fn alias(name: &'static str, does: Does, says: &'static str) -> Alias {
    Alias { name, does, says }
}

/// Every variable of its versions up to 0.11; of two for one option the first counts.
const ALIASES: &[Alias] = &[
    alias(
        "CDC_SOURCE_CONNECTION_STRING",
        Source,
        "`--source`; `replication=database` in it is left out",
    ),
    alias(
        "CDC_SOURCE_HOST",
        Source,
        "a part of `--source`, without `CDC_SOURCE_CONNECTION_STRING`",
    ),
    alias(
        "CDC_SOURCE_PORT",
        Source,
        "a part of `--source`, without `CDC_SOURCE_CONNECTION_STRING`",
    ),
    alias(
        "CDC_SOURCE_DB",
        Source,
        "a part of `--source`, without `CDC_SOURCE_CONNECTION_STRING`",
    ),
    alias(
        "CDC_SOURCE_USER",
        Source,
        "a part of `--source`, without `CDC_SOURCE_CONNECTION_STRING`",
    ),
    alias(
        "CDC_SOURCE_PASSWORD",
        Source,
        "a part of `--source`, without `CDC_SOURCE_CONNECTION_STRING`",
    ),
    alias(
        "CDC_DEST_TYPE",
        Destination,
        "what `CDC_DEST_URI` is, if that does not say so itself; `MySQL` without it",
    ),
    alias(
        "CDC_DEST_URI",
        Destination,
        "`--destination`; a path becomes `sqlite:PATH`",
    ),
    alias(
        "CDC_DEST_HOST",
        Destination,
        "a part of `--destination`, without `CDC_DEST_URI`",
    ),
    alias(
        "CDC_DEST_PORT",
        Destination,
        "a part of `--destination`, unless `CDC_DEST_URI` is a URL",
    ),
    alias(
        "CDC_DEST_DB",
        Destination,
        "a part of `--destination`, unless `CDC_DEST_URI` is a URL; the file of SQLite",
    ),
    alias(
        "CDC_DEST_USER",
        Destination,
        "a part of `--destination`, unless `CDC_DEST_URI` is a URL",
    ),
    alias(
        "CDC_DEST_PASSWORD",
        Destination,
        "a part of `--destination`, unless `CDC_DEST_URI` is a URL",
    ),
    alias(
        "CDC_REPLICATION_SLOT",
        As("slot", same),
        "`--slot`; without it that is `replicator`, not `cdc_slot`",
    ),
    alias(
        "CDC_PUBLICATION",
        As("publication", same),
        "`--publication`; without it that is `replicator`, not `cdc_pub`",
    ),
    alias(
        "CDC_SCHEMA_MAPPING",
        Destination,
        "`--map-schema`; one to the destination's own database is one to `public`",
    ),
    alias(
        "CDC_AUTO_CREATE_TABLES",
        As("auto_create", |it| yes(it, "yes", "no")),
        "`--auto-create`",
    ),
    alias(
        "CDC_PROTOCOL_VERSION",
        As("protocol", version),
        "`--protocol`; without it that is the highest the server speaks",
    ),
    alias(
        "CDC_STREAMING",
        As("streaming", streaming),
        "`--streaming off` where it is `false`; else as far as the protocol can",
    ),
    alias(
        "CDC_STREAMING_MODE",
        As("streaming", streaming),
        "as `CDC_STREAMING`",
    ),
    alias("CDC_BINARY_FORMAT", Nothing, BINARY),
    alias("CDC_BINARY_MODE", Nothing, BINARY),
    alias(
        "CDC_CONNECTION_TIMEOUT",
        As("connect_timeout", seconds),
        "`--connect-timeout`",
    ),
    alias(
        "CDC_QUERY_TIMEOUT",
        As("destination_timeout", seconds),
        "`--destination-timeout`: a statement that is at work is not ended by it",
    ),
    alias(
        "CDC_HEARTBEAT_INTERVAL",
        Nothing,
        "nothing: the server hears of us by time, whatever the destination does",
    ),
    alias("CDC_CHANNEL_CAPACITY", Nothing, BYTES),
    alias("CDC_BUFFER_SIZE", Nothing, BYTES),
    alias("CDC_BATCH_SIZE", Nothing, WHOLE),
    alias("CDC_COMMIT_BATCH_SIZE", Nothing, WHOLE),
    alias(
        "CDC_MAX_ROWS_PER_INSERT",
        Nothing,
        "nothing: rows are gathered by their size",
    ),
    alias(
        "CDC_BULK_INSERT_THRESHOLD",
        Nothing,
        "nothing: rows are gathered by their size",
    ),
    alias(
        "CDC_TRANSACTION_FILE_BASE_PATH",
        As("spool", same),
        "`--spool`",
    ),
    alias(
        "PG2ANY_RELAY_LOG_DIR",
        As("spool", same),
        "`--spool`, without `CDC_TRANSACTION_FILE_BASE_PATH`",
    ),
    alias(
        "CDC_TRANSACTION_SEGMENT_SIZE_MB",
        Nothing,
        "nothing: see `--spool-limit`",
    ),
    alias(
        "PG2ANY_ENABLE_COMPRESSION",
        As("spool_compression", |it| yes(it, "lz4", "none")),
        "`--spool-compression`, `lz4` where it is `true`",
    ),
    alias(
        "CDC_LAST_LSN_FILE",
        Nothing,
        "nothing: the position is a row at the destination",
    ),
    alias("CDC_KAFKA_TOPIC_PREFIX", Nothing, KAFKA),
    alias("CDC_KAFKA_SOURCE_DB_NAME", Nothing, KAFKA),
    alias("CDC_KAFKA_SECURITY_PROTOCOL", Nothing, KAFKA),
    alias("CDC_KAFKA_COMPRESSION", Nothing, KAFKA),
    alias("CDC_KAFKA_BATCH_SIZE", Nothing, KAFKA),
    alias("CDC_KAFKA_LINGER_MS", Nothing, KAFKA),
    alias("CDC_KAFKA_ACKS", Nothing, KAFKA),
    alias("CDC_KAFKA_MESSAGE_MAX_BYTES", Nothing, KAFKA),
    alias("CDC_KAFKA_RETRIES", Nothing, KAFKA),
    alias("CDC_KAFKA_RETRY_BACKOFF_MS", Nothing, KAFKA),
    alias("CDC_KAFKA_METADATA_REFRESH_INTERVAL_MS", Nothing, KAFKA),
    alias("CDC_KAFKA_MESSAGE_TIMEOUT_MS", Nothing, KAFKA),
    alias("CDC_KAFKA_SASL_MECHANISM", Nothing, KAFKA),
    alias("CDC_KAFKA_SASL_USERNAME", Nothing, KAFKA),
    alias("CDC_KAFKA_SASL_PASSWORD", Nothing, KAFKA),
    alias("CDC_KAFKA_KEY_COLUMNS", Nothing, KAFKA),
    alias("METRICS_PORT", Nothing, "nothing: see `--metrics`"),
    alias(
        "RUST_LOG",
        Nothing,
        "nothing: `REPLICATOR_LOG` sets the level of the log",
    ),
];

/// What its variables, and no others, begin with.
const PREFIXES: [&str; 2] = ["CDC_", "PG2ANY_"];

/// The variables that are set.
type Environment = BTreeMap<String, String>;

/// What the environment says in the words of `pg2any`.
#[derive(Debug, Default)]
pub struct Aliases {
    stand_ins: Vec<StandIn>,
    without_meaning: Vec<&'static str>,
    unknown: Vec<String>,
    /// Variables that were really used, and for what; from [`settle`](Self::settle).
    used: Vec<String>,
}

/// The value of an option that nobody may have given.
#[derive(Debug)]
struct StandIn {
    option: &'static str,
    /// Where it is from.
    variables: Vec<&'static str>,
    value: Result<String>,
}

impl Aliases {
    /// Reads the environment; a variable set to nothing is not set.
    pub(super) fn read(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            let value = value.into_string().ok().filter(|value| !value.is_empty());
            Some((name.into_string().ok()?, value?))
        };
        let environment: Environment = environment.into_iter().filter_map(text).collect();
        let mut aliases = Self::default();
        let set = |alias: &&Alias| environment.contains_key(alias.name);
        let part = |source| {
            let parts = ALIASES
                .iter()
                .filter(set)
                .filter(move |alias| match alias.does {
                    Source => source,
                    Destination => !source && alias.name != "CDC_SCHEMA_MAPPING",
                    _ => false,
                });
            parts.map(|alias| alias.name).collect::<Vec<_>>()
        };
        let place = destination(&environment);
        let wholes = [
            ("source", part(true), source(&environment)),
            ("destination", part(false), place.clone()),
        ];
        for (option, variables, value) in wholes {
            if let Some(value) = value {
                aliases.stand_in(option, variables, Ok(value));
            }
        }
        for alias in ALIASES.iter().filter(set) {
            let value = &environment[alias.name];
            let wrong = |expected: &str| {
                Error::usage(format!("{}={value} is not {expected}", alias.name))
                    .with_hint("correct it, or unset it and use the option")
            };
            let (option, read) = match alias.does {
                As(option, read) => (option, read(value)),
                Destination if alias.name == "CDC_SCHEMA_MAPPING" => {
                    ("map_schema", mappings(value, place.as_deref()).map(Some))
                }
                Source | Destination => continue,
                Nothing => {
                    aliases.without_meaning.push(alias.name);
                    continue;
                }
            };
            if let Some(value) = read.map_err(wrong).transpose() {
                aliases.stand_in(option, vec![alias.name], value);
            }
        }
        let ours = |name: &&String| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let known = |name: &&String| ALIASES.iter().any(|alias| alias.name == **name);
        let unknown = environment.keys().filter(ours).filter(|name| !known(name));
        aliases.unknown = unknown.cloned().collect();
        // These are other programs' as well, and nobody's business.
        aliases
            .without_meaning
            .retain(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
        aliases
    }

    fn stand_in(
        &mut self,
        option: &'static str,
        variables: Vec<&'static str>,
        value: Result<String>,
    ) {
        if !self.stand_ins.iter().any(|other| other.option == option) {
            self.stand_ins.push(StandIn {
                option,
                variables,
                value,
            });
        }
    }

    /// Lets options of `run` be what stands in for them, if nobody gives them.
    pub(super) fn put(&self, run: clap::Command) -> clap::Command {
        let good = self.stand_ins.iter();
        let good = good.filter_map(|it| Some((it.option, it.value.as_ref().ok()?)));
        good.fold(run, |run, (option, value)| {
            // The parser keeps them for as long as the process lives.
            let value: &'static str = value.clone().leak();
            run.mut_arg(option, |arg| {
                // A URL may hold a password, and the help shows defaults.
                arg.required(false)
                    .default_value(value)
                    .hide_default_value(true)
            })
        })
    }

    /// The variables that stand in for an option, if some do.
    pub(super) fn variables(&self, option: &str) -> Option<String> {
        let found = self.stand_ins.iter().find(|it| it.option == option)?;
        Some(found.variables.join(" and "))
    }

    /// Finds out what was really used.
    ///
    /// # Errors
    ///
    /// A value that cannot be used, of an option that nothing else gives.
    pub(super) fn settle(&mut self, run: &ArgMatches) -> Result<()> {
        for StandIn {
            option,
            variables,
            value,
        } in std::mem::take(&mut self.stand_ins)
        {
            if !matches!(
                run.value_source(option),
                None | Some(ValueSource::DefaultValue)
            ) {
                continue;
            }
            value?;
            let option = option.replace('_', "-");
            self.used
                .push(format!("{} as --{option}", variables.join(" and ")));
        }
        Ok(())
    }

    /// Writes into the log what was used, what has no meaning here, and what nobody knows. Names only.
    pub fn say(&self) {
        if !self.used.is_empty() {
            let variables = self.used.join(", ");
            tracing::info!(
                variables,
                "taken from the environment, which speaks to pg2any"
            );
        }
        if !self.without_meaning.is_empty() {
            let variables = self.without_meaning.join(", ");
            tracing::warn!(
                variables,
                "set for pg2any, and without a meaning here; docs/moving-from-pg2any.md says why"
            );
        }
        for variable in &self.unknown {
            let names = ALIASES.iter().map(|alias| alias.name);
            let nearest = nearest(variable, names).unwrap_or("none");
            tracing::warn!(
                variable,
                nearest,
                "an environment variable that neither pg2any nor this program knows"
            );
        }
    }
}

#[cfg(test)]
mod tests;
