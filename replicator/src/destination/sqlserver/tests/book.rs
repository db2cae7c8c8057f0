//! A server that knows one table and keeps the position row: as much of a database as a writer needs to be seen through.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::endpoint::{Answer, Cell, Encryption, Endpoint, Heard};
use super::usual;

/// What the server remembers.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Whether our own tables are there.
    ours: bool,
    /// Whether the position's is of a layout without its time.
    old: bool,
    /// As the statement that makes a row has its values.
    position: Option<Vec<Cell>>,
    /// The same of a table.
    table: Option<Vec<Cell>>,
    /// The last chunk of the only part.
    chunk: Option<Cell>,
}

/// A plan of answers: to the next statement that begins so, this one.
type Planned = (&'static str, Answer);

#[derive(Debug, Default)]
struct State {
    kept: Kept,
    /// As it was when the transaction began.
    before: Option<Kept>,
    planned: VecDeque<Planned>,
    /// What `XACT_STATE` says.
    standing: i32,
    /// What a commit whose answer is lost does all the same.
    commits: bool,
    /// Rows that came in bulk since the last load began.
    loading: u64,
    /// Of the temporary table.
    rows: i64,
    /// Who takes the row while a commit's answer is lost: of this epoch.
    thief: Option<i64>,
    /// The number of sessions that are opened.
    session: i32,
    /// What it says that it is, if not the usual.
    version: Option<&'static str>,
    /// Whether its table has a moment in place of a name.
    moments: bool,
}

/// The server and what it remembers.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) endpoint: Endpoint,
    state: Arc<Mutex<State>>,
}

impl Book {
    pub(super) async fn open() -> Self {
        let state = Arc::new(Mutex::new(State {
            standing: 1,
            session: 57,
            ..State::default()
        }));
        let all = Arc::clone(&state);
        let reply = move |heard: &Heard| lock(&all).reply(heard);
        let endpoint = Endpoint::start(Encryption::None, reply).await;
        Self { endpoint, state }
    }

    /// To the next statement that begins with `start` there is this answer, in the order in which they are planned.
    pub(super) fn plan(&self, start: &'static str, answer: Answer) {
        lock(&self.state).planned.push_back((start, answer));
    }

    /// After an error no transaction stands any more.
    pub(super) fn falls(&self) {
        lock(&self.state).standing = 0;
    }

    /// The next commit is carried out, or not, and its answer is lost.
    pub(super) fn loses_commit(&self, commits: bool) {
        lock(&self.state).commits = commits;
        self.plan("COMMIT TRANSACTION", Answer::Cut);
    }

    /// While a commit's answer is lost somebody else takes the row.
    pub(super) fn stolen_at_commit(&self, epoch: i64) {
        lock(&self.state).thief = Some(epoch);
    }

    /// It is of another make.
    pub(super) fn is(&self, version: &'static str) {
        lock(&self.state).version = Some(version);
    }

    /// The name in its table is a moment.
    pub(super) fn has_moments(&self) {
        lock(&self.state).moments = true;
    }

    /// The server has noticed that its client is gone.
    pub(super) fn undo(&self) {
        lock(&self.state).undo();
    }

    /// The next sessions have this number.
    pub(super) fn is_session(&self, number: i32) {
        lock(&self.state).session = number;
    }

    /// Somebody else writes the row: an epoch later, or at another position.
    pub(super) fn meddle(&self, epoch: Option<i64>, lsn: Option<&str>) {
        lock(&self.state).meddle(epoch, lsn);
    }

    /// It is as a replicator of an older layout left it.
    pub(super) fn ages(&self) {
        lock(&self.state).kept.old = true;
    }

    /// The position that is kept.
    pub(super) fn lsn(&self) -> String {
        match lock(&self.state).kept.position.as_deref() {
            Some([.., Cell::Text(lsn), _, _, _, _, _, _]) => lsn.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

/// Rows; `Done`, which is none, where there are none.
fn rows(rows: Vec<Vec<Cell>>) -> Answer {
    if rows.is_empty() {
        Answer::Done
    } else {
        Answer::Rows(rows)
    }
}

fn count(count: i64) -> Answer {
    Answer::Rows(vec![vec![Cell::Number(count)]])
}

impl State {
    fn reply(&mut self, heard: &Heard) -> Answer {
        let sql = match heard {
            Heard::Batch(sql) | Heard::Call(sql, ..) => sql.trim_start(),
            Heard::Login(..) => return usual(heard),
            Heard::Rows(_) => return Answer::Took(std::mem::take(&mut self.loading)),
        };
        let planned = match self.planned.front() {
            Some((start, _)) if sql.starts_with(start) => self.planned.pop_front(),
            _ => None,
        };
        if let Some((_, answer)) = planned {
            match answer {
                Answer::Cut if self.commits => self.before = None,
                Answer::Cut => {
                    self.undo();
                    if let Some(epoch) = self.thief.take() {
                        self.meddle(Some(epoch), None);
                    }
                }
                Answer::Error(..) if self.standing == 0 => self.undo(),
                _ => {}
            }
            return answer;
        }
        match heard {
            Heard::Batch(sql) => self.batch(sql),
            Heard::Call(sql, _, values) => self.call(sql.trim_start(), values),
            _ => usual(heard),
        }
    }

    fn meddle(&mut self, epoch: Option<i64>, lsn: Option<&str>) {
        let row = self.kept.position.as_mut().expect("a position");
        if let Some(epoch) = epoch {
            row[8] = Cell::Number(epoch);
            row[9] = text("process 2");
        }
        if let Some(lsn) = lsn {
            row[7] = text(lsn);
        }
    }

    fn undo(&mut self) {
        if let Some(before) = self.before.take() {
            self.kept = before;
        }
    }

    fn batch(&mut self, sql: &str) -> Answer {
        if sql.ends_with("BEGIN TRANSACTION") {
            self.before = Some(self.kept.clone());
            self.standing = 1;
        } else if sql.starts_with("IF @@TRANCOUNT > 0 ROLLBACK") {
            self.undo();
        } else if sql.starts_with("COMMIT TRANSACTION") {
            if self.before.take().is_none() {
                return Answer::error(3902, "The COMMIT TRANSACTION request has no BEGIN.");
            }
            return Answer::Rows(vec![vec![Cell::Int(0)]]);
        } else if sql.contains("CREATE TABLE [dbo].[_replicator_position]") {
            self.kept.ours = true;
        } else if sql.contains("ADD [source_time] nvarchar(64) NULL") {
            self.kept.old = false;
        } else if sql.starts_with("IF OBJECT_ID(N'tempdb..") {
            self.rows = self.loading.try_into().expect("few");
        } else if sql.starts_with("SELECT TOP 0") {
            // An int and a text, as the table has them.
            let text = vec![0xe7, 0xff, 0xff, 9, 4, 208, 0, 52];
            return Answer::Columns(vec![(vec![0x26, 4], "c0"), (text, "c1")]);
        } else if sql.starts_with("SELECT CONVERT(nvarchar(41), [id]), [name]") {
            return rows(vec![
                vec![text("1"), text("a")],
                vec![text("2"), Cell::Null],
            ]);
        }
        Answer::Done
    }

    fn call(&mut self, sql: &str, values: &[Cell]) -> Answer {
        if sql.starts_with("SELECT CAST(@@SPID AS int)") {
            let since = text("2026-11-28T20:00:00.003");
            return rows(vec![vec![Cell::Int(self.session), since]]);
        }
        if let (true, Some(version)) = (sql.contains("@@VERSION"), self.version) {
            return rows(vec![vec![text(version)]]);
        }
        if sql.starts_with("SELECT CAST(XACT_STATE()") {
            return rows(vec![vec![Cell::Int(self.standing)]]);
        }
        if sql.starts_with("SELECT t.[name] FROM sys.tables") {
            let names = [
                "_replicator_position",
                "_replicator_tables",
                "_replicator_chunks",
                "source_time",
            ];
            let count = if self.kept.old { 3 } else { 4 };
            let names = names[..count].iter().filter(|_| self.kept.ours);
            return rows(names.map(|name| vec![text(name)]).collect());
        }
        if sql.starts_with("SELECT MAX([version])") {
            return rows(vec![vec![Cell::Number(2)]]);
        }
        if sql.contains("FROM [dbo].[_replicator_position]") && sql.starts_with("SELECT [s") {
            let Some(row) = &self.kept.position else {
                return Answer::Done;
            };
            // Without slot and version; or the session.
            return rows(vec![if !sql.starts_with("SELECT [state]") {
                row[11..13].to_vec()
            } else if sql.contains("[source_time]") {
                assert!(!self.kept.old, "there is no such column");
                [&row[2..11], &row[13..]].concat()
            } else {
                row[2..11].to_vec()
            }]);
        }
        if sql.starts_with("INSERT INTO [dbo].[_replicator_position]") {
            self.kept.position = Some(values.to_vec());
            return count(1);
        }
        if sql.starts_with("DELETE FROM [dbo].[_replicator_position]") {
            return count(i64::from(self.kept.position.take().is_some()));
        }
        if sql.starts_with(
            "UPDATE [dbo].[_replicator_position] WITH (UPDLOCK) SET [version] = [version]",
        ) {
            return count(i64::from(self.kept.position.is_some()));
        }
        if sql.starts_with("UPDATE [dbo].[_replicator_position] WITH (UPDLOCK)") {
            return count(i64::from(self.moves(values)));
        }
        if let Some(answer) = self.ledger(sql, values) {
            return answer;
        }
        if sql.starts_with("SELECT o.[type_desc]") {
            return rows(vec![vec![text("USER_TABLE"), Cell::Int(1), Cell::Int(0)]]);
        }
        if sql.starts_with("SELECT c.[name]") {
            let column = |name: &str, of: &str, length, collation: Cell| {
                let number = Cell::Int;
                let (required, zero) = (number(i32::from(name == "id")), number(0));
                let precision = number(10);
                vec![
                    text(name),
                    text(of),
                    number(length),
                    precision,
                    zero.clone(),
                    collation,
                    required,
                    zero,
                ]
            };
            let mut name = column("name", "nvarchar", -1, text("Latin1_General_CI_AS"));
            if self.moments {
                name = column("name", "datetime2", 8, Cell::Null);
                name[4] = Cell::Int(6);
            }
            return rows(vec![name, column("id", "int", 4, Cell::Null)]);
        }
        if sql.starts_with("SELECT i.[index_id]") {
            return rows(vec![vec![Cell::Int(1), text("id"), Cell::Int(0)]]);
        }
        if sql.starts_with("SELECT (SELECT COUNT(*) FROM sys.triggers") {
            return rows(vec![vec![Cell::Int(0)]]);
        }
        if sql.ends_with("SELECT CAST(@@ROWCOUNT AS bigint)") {
            return count(self.changed(sql));
        }
        usual(&Heard::Call(sql.to_owned(), String::new(), values.to_vec()))
    }

    /// What is said of tables and chunks.
    fn ledger(&mut self, sql: &str, values: &[Cell]) -> Option<Answer> {
        let Kept { table, chunk, .. } = &mut self.kept;
        let verb = sql.split(' ').next()?;
        if sql.contains("[dbo].[_replicator_chunks]") {
            return Some(match (verb, values) {
                ("SELECT", _) => rows(chunk.iter().map(|number| vec![number.clone()]).collect()),
                ("INSERT" | "UPDATE", [_slot, _oid, _part, number]) => {
                    *chunk = Some(number.clone());
                    count(1)
                }
                _ => {
                    *chunk = None;
                    count(1)
                }
            });
        }
        if !sql.contains("[dbo].[_replicator_tables]") {
            return None;
        }
        Some(match (verb, values) {
            // Who made it is asked for by its name.
            ("SELECT", [Cell::Text(_)]) if sql.contains("[destination] = ") => Answer::Done,
            ("SELECT", _) => {
                let row = |row: &Vec<Cell>| {
                    let mut row = [&row[1..2], &row[3..]].concat();
                    row.extend([Cell::Null, Cell::Null]);
                    row
                };
                rows(table.iter().map(row).collect())
            }
            ("INSERT", values) => {
                *table = Some(values.to_vec());
                count(1)
            }
            ("UPDATE", [state, ..]) => {
                let row = table.as_mut()?;
                row[11] = state.clone();
                count(1)
            }
            _ => count(i64::from(table.take().is_some())),
        })
    }

    /// Compares and sets: as the statement's parameters say.
    fn moves(&mut self, values: &[Cell]) -> bool {
        let Some(row) = &mut self.kept.position else {
            return false;
        };
        if let [holder, session, since, _slot] = values {
            let Cell::Number(epoch) = &mut row[8] else {
                panic!("{row:?}")
            };
            *epoch += 1;
            row[9] = holder.clone();
            row[11..13].clone_from_slice(&[session.clone(), since.clone()]);
            return true;
        }
        let [
            state,
            timeline,
            publications,
            lsn,
            fingerprint,
            session,
            since,
            time,
            was @ ..,
        ] = values
        else {
            panic!("{values:?}")
        };
        if *was
            != [
                row[0].clone(),
                row[2].clone(),
                row[7].clone(),
                row[8].clone(),
            ]
        {
            return false;
        }
        for (at, value) in [
            (2, state),
            (4, timeline),
            (6, publications),
            (7, lsn),
            (10, fingerprint),
            (11, session),
            (12, since),
            (13, time),
        ] {
            row[at] = value.clone();
        }
        true
    }

    /// How many rows a statement over data changes: as many as it has, or the temporary table.
    fn changed(&mut self, sql: &str) -> i64 {
        let tuples = || i64::try_from(sql.matches("CONVERT(int, @P").count()).expect("few");
        if sql.contains("AS v") {
            self.rows
        } else if sql.starts_with("INSERT INTO #") {
            self.rows += tuples();
            tuples()
        } else if sql.starts_with("INSERT INTO [dbo].[t]") {
            tuples()
        } else {
            1
        }
    }
}

impl Book {
    /// So many rows are about to come in bulk.
    pub(super) fn loads(&self, rows: u64) {
        lock(&self.state).loading = rows;
    }
}
