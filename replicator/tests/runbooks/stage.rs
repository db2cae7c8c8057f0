//! Where commands of a page are typed: a shell with source and destination in its variables, and a service that runs.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use testdata::{Client, Server};

use crate::common::{
    Finished, Job, Running, all_differences, connect, differences, published, server_rows,
    source_rows,
};

/// Longer than anything takes here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A shell, and the replicator as a service manager has it.
pub(crate) struct Stage {
    job: Job,
    variables: BTreeMap<String, String>,
    service: Option<Running>,
}

impl Stage {
    /// Between this database and a SQLite file.
    pub(crate) fn new(source: &Server, database: &str) -> Self {
        let job = Job::new(source, database);
        let mut stage = Self {
            variables: BTreeMap::new(),
            service: None,
            job,
        };
        stage.set("REPLICATOR_SOURCE", &source.url(database));
        let destination = stage.job.destination();
        stage.set("REPLICATOR_DESTINATION", &destination);
        stage
    }

    /// Sets a variable, for commands and service.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Where commands are typed.
    pub(crate) fn folder(&self) -> &Path {
        self.job.folder()
    }

    /// Types the lines of a block; each must succeed. `systemctl` acts on the service of this stage.
    #[track_caller]
    pub(crate) fn play(&mut self, block: &str) {
        let mut lines = String::new();
        for line in block.lines().chain(["systemctl"]) {
            let mut words = line.split_whitespace();
            if words.next() != Some("systemctl") {
                lines.push_str(line);
                lines.push('\n');
                continue;
            }
            self.shell(&lines);
            lines.clear();
            match words.next() {
                Some("start") => self.start(),
                Some("stop") => self.stop(),
                Some("restart") => {
                    self.stop();
                    self.start();
                }
                None => {}
                other => panic!("systemctl {other:?}"),
            }
        }
    }

    #[track_caller]
    fn shell(&mut self, lines: &str) {
        if lines.trim().is_empty() {
            return;
        }
        // What a block sets or exports counts for what follows, as in the shell of a person.
        let saved = self.folder().join("variables");
        let text = format!(
            "set -euo pipefail; set -a\n{lines}\n\
             declare -p | grep -E '^declare -x REPLICATOR' >variables || true"
        );
        let mut command = Command::new("bash");
        command.args(["-c", &text]);
        self.equip(&mut command);
        let out = command.output().expect("bash");
        assert!(
            out.status.success(),
            "{lines}\nended with {:?}:\n{}{}",
            out.status.code(),
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        for line in fs::read_to_string(&saved).unwrap_or_default().lines() {
            let line = line.trim_start_matches("declare -x ");
            if let Some((name, value)) = line.split_once('=') {
                self.set(name, value.trim_matches('"'));
            }
        }
    }

    /// A command with our variables, and the programs that a page names.
    fn equip(&self, command: &mut Command) {
        let ours = Path::new(env!("CARGO_BIN_EXE_replicator")).parent();
        let psql = testdata::program("psql");
        let mut path = vec![ours.unwrap().to_owned(), psql.parent().unwrap().to_owned()];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("REPLICATOR_") {
                command.env_remove(name);
            }
        }
        command
            .env("PATH", env::join_paths(path).unwrap())
            .envs(&self.variables)
            .current_dir(self.folder());
    }

    /// Starts the service, and waits until it streams.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        let mut service = self.begin();
        service.wait_for(" streaming ");
        self.service = Some(service);
    }

    fn begin(&self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replicator"));
        self.equip(command.arg("run"));
        self.job.start_command(command)
    }

    /// Ends the service, if it has not ended by itself.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        if let Some(service) = self.service.take() {
            let ended = service.terminate();
            assert_eq!(ended.code, Some(0), "{}", ended.log);
        }
    }

    /// Waits until the service has ended by itself with exit code 3, and said these words.
    #[track_caller]
    pub(crate) fn fails(&mut self, words: &[&str]) {
        let service = self.service.take().unwrap_or_else(|| self.begin());
        let ended = service.wait();
        assert_eq!(ended.code, Some(3), "{}", ended.log);
        for word in words {
            assert!(ended.log.contains(word), "no {word:?} in {}", ended.log);
        }
    }

    /// `replicator` with these arguments.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replicator"));
        self.equip(command.args(arguments));
        self.job.start_command(command).wait()
    }

    /// What `status` says, until it names this cause.
    #[track_caller]
    pub(crate) fn until_cause(&self, kind: &str) -> Finished {
        let wanted = format!("\"kind\":\"{kind}\"");
        self.until_status(kind, |said| said.log.contains(&wanted))
    }

    /// Waits until `status` finds nothing that a person has to mend, and no cause.
    #[track_caller]
    pub(crate) fn is_over(&self) {
        self.until_status("it is over", |said| {
            said.code == Some(0) && said.log.contains("\"causes\":[]")
        });
    }

    #[track_caller]
    fn until_status(&self, what: &str, is: impl Fn(&Finished) -> bool) -> Finished {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.ask(&["status", "--json"]);
            if is(&said) {
                return said;
            }
            assert!(Instant::now() < deadline, "not {what}: {}", said.log);
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until both sides are equal, row by row.
    #[track_caller]
    pub(crate) fn equal(&self, source: &mut Client, destination: Option<&mut Client>) {
        let publication = self.variables.get("REPLICATOR_PUBLICATION");
        let publication = publication.map_or("replicator", |it| &**it);
        let deadline = Instant::now() + PATIENCE;
        let mut destination = destination;
        loop {
            let found = match &mut destination {
                Some(into) => published(source, publication)
                    .iter()
                    .flat_map(|table| {
                        let (left, right) = (source_rows(source, table), server_rows(into, table));
                        differences(&left, &right, "source", "destination")
                    })
                    .collect(),
                None => all_differences(&self.job, source, publication),
            };
            if found.is_empty() {
                return;
            }
            let shown: Vec<&String> = found.iter().take(10).collect();
            let log = self.service.as_ref().map(Running::log).unwrap_or_default();
            assert!(Instant::now() < deadline, "differ: {shown:#?}\n{log}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The tables that the pages speak of.
pub(crate) fn set_up(server: &Server, database: &str) -> Client {
    if database != "postgres" {
        let sql = format!("CREATE DATABASE {database}");
        connect(server, "postgres").batch(&sql).unwrap();
    }
    let mut sql = connect(server, database);
    sql.batch(
        "CREATE TABLE orders (id int PRIMARY KEY, item text, amount int NOT NULL DEFAULT 1);
         CREATE TABLE customers (id int PRIMARY KEY, name text);
         INSERT INTO orders SELECT i, 'item ' || i, i FROM generate_series(1, 100) i;
         INSERT INTO customers SELECT i, 'name ' || i FROM generate_series(1, 50) i",
    )
    .unwrap();
    sql
}
