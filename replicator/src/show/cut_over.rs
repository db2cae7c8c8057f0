//! What a cut-over did, or would do, for people, for psql and as JSON.

use serde_json::json;

use crate::cut_over::CutOver;

impl CutOver {
    /// What was done and what comes next, as lines for people.
    pub fn lines(&self) -> String {
        let Self {
            position,
            tables,
            steps,
            notes,
            ..
        } = self;
        let mut text = format!(
            "destination: at {position}, which is all of the source's {tables} tables; nobody wrote there meanwhile\n"
        );
        for step in steps {
            text += &format!("{step}\n");
        }
        let set = steps.iter().filter(|it| !it.statements.is_empty()).count();
        text += &format!(
            "sequences: {set} changed, {} as they were\n",
            steps.len() - set
        );
        for note in notes {
            text += &format!("note: {note}\n");
        }
        text += "next: point the application to the destination; once it works there, stop the run and remove what is left: \
                 replicator drop with the same --source, --destination and --slot\n";
        text
    }

    /// What would be done, as SQL for the destination, with the rest in comments.
    pub fn sql(&self) -> String {
        let comment = |text: &str| format!("-- {}\n", text.replace('\n', "\n-- "));
        let mut text = comment("as of now; whoever writes at the source moves these numbers");
        for what in &self.not_yet {
            text += &comment(&format!("not yet: {what}"));
        }
        for note in &self.notes {
            text += &comment(&format!("note: {note}"));
        }
        for step in &self.steps {
            text += &comment(&step.to_string());
            for statement in &step.statements {
                text += &format!("{statement};\n");
            }
        }
        text
    }

    /// As a JSON object on a line of its own, newline included.
    ///
    /// Scripts depend on it: members are added, never renamed or dropped.
    ///
    /// - `kind` is `cut_over`; `dry_run`: whether nothing was changed.
    /// - `position`: where the destination is; `tables`: how many are followed.
    /// - `steps`: a list of `about` (a column or sequence at the destination), `source` (the source's sequence), `what` (in
    ///   words) and `statements`, which is empty where there is nothing to do.
    /// - `notes`, and `not_yet`: what stands against a cut-over now; always empty where it was done.
    pub fn json(&self) -> String {
        let steps = self.steps.iter().map(|step| {
            json!({
                "about": step.about,
                "source": step.source,
                "what": step.what,
                "statements": step.statements,
            })
        });
        let all = json!({
            "kind": "cut_over",
            "dry_run": self.dry_run,
            "position": self.position.to_string(),
            "tables": self.tables,
            "steps": steps.collect::<Vec<_>>(),
            "notes": self.notes,
            "not_yet": self.not_yet,
        });
        format!("{all}\n")
    }
}
