//! The command line.

use crate::Failure;
use crate::contestant::{CONTESTANTS, Contestant, Product};
use crate::scenario::{SCENARIOS, Scenario};

pub(crate) const HELP: &str = "\
runs [OPTIONS] [SCENARIO…]

  --scale NUMBER     size of the backlogs, 1 without this: 0.1 for a tenth
  --rounds NUMBER    how often each is done, 1 without this; the quickest of them counts
  --only NAME,…      these contestants
  --syscalls         count system calls too, by perf (root, or kernel.perf_event_paranoid -1)
  --json             an object a line instead of tables

Scenarios: singles, one, hundred, tpcb, wide, updates, deletes, hot
Contestants: wire-binary, wire, subscription, sqlite, sqlite-tls, sqlite-bulk, postgres, postgres-tls, postgres-bulk,
  and, only where named, mariadb, mariadb-tls, mariadb-bulk and sqlserver, which REPLICATOR_TEST_SQLSERVER_URL names
";

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) scenarios: Vec<&'static Scenario>,
    pub(crate) scale: f64,
    pub(crate) rounds: usize,
    pub(crate) syscalls: bool,
    pub(crate) json: bool,
    only: Vec<String>,
}

impl Options {
    /// `None` where help is asked for.
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Option<Self>, Failure> {
        let mut options = Self {
            scenarios: Vec::new(),
            scale: 1.0,
            rounds: 1,
            syscalls: false,
            json: false,
            only: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let next = arguments.next();
                next.ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                "--scale" => options.scale = value()?.parse()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--syscalls" => options.syscalls = true,
                "--json" => options.json = true,
                "--only" => options
                    .only
                    .extend(value()?.split(',').map(ToOwned::to_owned)),
                name => options.scenarios.push(Scenario::named(name)?),
            }
        }
        for name in &options.only {
            if !CONTESTANTS
                .iter()
                .any(|contestant| contestant.name == *name)
            {
                return Err(format!("no contestant is called {name}").into());
            }
        }
        if options.scenarios.is_empty() {
            options.scenarios = SCENARIOS.iter().collect();
        }
        Ok(Some(options))
    }

    pub(crate) fn takes_part(&self, contestant: &Contestant) -> bool {
        if self.only.is_empty() {
            // The replicator may have been built without it, and nobody has named one.
            !matches!(contestant.product(), Product::MariaDb | Product::SqlServer)
        } else {
            self.only.iter().any(|only| only == contestant.name)
        }
    }
}
