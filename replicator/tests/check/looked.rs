//! What a check printed, and doing what it says.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::faults_common::{PATIENCE, Running, program};

/// What was found.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) findings: Vec<Value>,
    pub(crate) code: i32,
}

/// Runs `check --json` with these options.
pub(crate) fn look(options: &[&str]) -> Looked {
    let outcome = Running::start(program().args(["check", "--json"]).args(options)).wait(PATIENCE);
    let lines = outcome.stdout.lines();
    let mut findings: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    let sum = findings.pop().unwrap_or_else(|| panic!("{outcome:?}"));
    assert_eq!(sum["kind"], "checked", "{outcome:?}");
    let code = outcome.code.expect("an exit code");
    assert_eq!(sum["exit_code"], code, "what is said is what comes");
    for verdict in ["ok", "warning", "wrong", "unknown"] {
        let count = findings
            .iter()
            .filter(|it| it["verdict"] == verdict)
            .count();
        assert_eq!(sum[verdict], count, "{verdict}");
    }
    Looked { findings, code }
}

impl Looked {
    /// The only finding of this id, or the first that is not ok.
    #[track_caller]
    pub(crate) fn of(&self, id: &str) -> &Value {
        let of = || self.findings.iter().filter(|it| it["id"] == id);
        let found = of()
            .find(|it| it["verdict"] != "ok")
            .or_else(|| of().next());
        found.unwrap_or_else(|| panic!("nothing of {id} in {:#?}", self.findings))
    }

    /// Ids of this verdict.
    pub(crate) fn ids(&self, verdict: &str) -> BTreeSet<String> {
        let of = self.findings.iter().filter(|it| it["verdict"] == verdict);
        of.map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Sees that these are of that verdict, each by its id and words of its reason.
    #[track_caller]
    pub(crate) fn says(&self, verdict: &str, id: &str, words: &str) -> &Self {
        let mut of = self.findings.iter().filter(|it| it["id"] == id);
        let said =
            of.any(|it| it["verdict"] == verdict && it["reason"].as_str().unwrap().contains(words));
        assert!(
            said,
            "{id} is not {verdict} with {words:?}: {:#?}",
            self.of(id)
        );
        self
    }

    /// Sees that nothing is wrong, and the exit code says so.
    #[track_caller]
    pub(crate) fn fine(&self) -> &Self {
        assert_eq!(
            (self.code, self.ids("wrong")),
            (0, BTreeSet::new()),
            "{:#?}",
            self.findings
        );
        self
    }
}

/// What has to be done besides commands.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    /// Sentences.
    pub(crate) by_hand: Vec<String>,
    /// Options to be given in the place of those before.
    pub(crate) options: Vec<String>,
}

/// Does what the findings say that are `verdict` and `wanted`; `source` and `destination` carry out statements there.
pub(crate) fn mended(
    looked: &Looked,
    wanted: impl Fn(&str) -> bool,
    mut source: impl FnMut(&str),
    mut destination: impl FnMut(&str),
    environment: &[(&str, &str)],
) -> Mended {
    let mut mended = Mended::default();
    for finding in &looked.findings {
        if finding["verdict"] == "ok" || !wanted(finding["id"].as_str().unwrap()) {
            continue;
        }
        for step in finding["mend"].as_array().unwrap() {
            let text = step["text"].as_str().unwrap();
            match step["at"].as_str().unwrap() {
                "source" => source(text),
                "destination" => destination(text),
                "shell" => shell(text, environment),
                "option" => mended.options.extend(text.split(' ').map(str::to_owned)),
                "hand" => mended.by_hand.push(text.to_owned()),
                other => panic!("{other} is no place"),
            }
        }
    }
    mended
}

/// A command as a user's shell has it, with our program in the path.
fn shell(text: &str, environment: &[(&str, &str)]) {
    let ours = std::path::Path::new(env!("CARGO_BIN_EXE_replicator"));
    let path = format!(
        "{}:{}",
        ours.parent().unwrap().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let done = Command::new("/bin/sh")
        .args(["-c", text])
        .env("PATH", path)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(done.status.success(), "{text}: {done:?}");
}
