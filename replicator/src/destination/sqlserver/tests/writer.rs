//! The whole writer through [`Destination`], against a server that is scripted: which statements come in which order,
//! what is done again, and what never. Everything that arrives is read by a parser of T-SQL that is not ours.

mod compatible;
mod lost;

use walproto::Lsn;

use super::book::Book;
use super::*;
use crate::chunk::Chunk;
use crate::config::{OnConflict, OnMisfit};
use crate::destination::sqlserver::{SqlServerDestination, SqlServerOptions};
use crate::destination::{Destination, Existing, Outcome};
use crate::position::{PositionRow, State};

const BEGIN: &str = "SET XACT_ABORT ON; BEGIN TRANSACTION";
const MOVE: &str = "UPDATE [dbo].[_replicator_position] WITH (UPDLOCK)";
const SAVE: &str = "SET XACT_ABORT OFF; SAVE TRANSACTION together";
const BACK: &str = "ROLLBACK TRANSACTION together";
const COMMIT: &str = "COMMIT TRANSACTION; SELECT CAST(@@TRANCOUNT AS int)";
const ROLLBACK: &str = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION";
const INSERT: &str = "INSERT INTO [dbo].[t]";
const STANDS: &str = "SELECT CAST(XACT_STATE()";

fn options(book: &Book) -> SqlServerOptions {
    SqlServerOptions::new(book.endpoint.url(""))
        .wait(Duration::from_secs(1))
        .timeout(PATIENCE.answer)
}

async fn opened_at(book: &Book) -> SqlServerDestination {
    SqlServerDestination::open(options(book)).await.unwrap()
}

fn table() -> Arc<Table> {
    Arc::new(Table {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        destination: "dbo.t".to_owned(),
        columns: vec![
            Column::new("id", Oid(23), -1, Oid(23)),
            Column::new("name", Oid(25), -1, Oid(25)),
        ],
        key: vec![0],
        identity: 'd',
        relfilenode: 1,
    })
}

/// A server that is followed from 0/100 on, and the row.
async fn streaming(book: &Book) -> (SqlServerDestination, PositionRow, Arc<Table>) {
    let mut destination = opened_at(book).await;
    let intent = PositionRow {
        slot: "s".to_owned(),
        state: State::Intent,
        system_id: "7301".to_owned(),
        timeline: 1,
        database: "shop".to_owned(),
        publications: vec!["p".to_owned()],
        lsn: Lsn(0x100),
        epoch: 0,
        holder: "process 1".to_owned(),
        fingerprint: "f".to_owned(),
        source_time: None,
    };
    let row = destination.write_intent(&intent).await.unwrap();
    let row = destination.activate(&row).await.unwrap();
    (destination, row, table())
}

fn of(table: &Arc<Table>, action: Action) -> Operation {
    Operation {
        table: Arc::clone(table),
        lsn: Lsn(0x108),
        action,
    }
}

fn insert(table: &Arc<Table>, id: i64) -> Operation {
    let values = vec![Value::Integer(id), Value::Text("a".to_owned())];
    of(table, Action::Insert { values })
}

fn update(table: &Arc<Table>, id: i64) -> Operation {
    let set = vec![(1, Value::Text("b".to_owned()))];
    let matched = vec![Value::Integer(id)];
    of(table, Action::Update { set, matched })
}

fn delete(table: &Arc<Table>, id: i64) -> Operation {
    let matched = vec![Value::Integer(id)];
    of(table, Action::Delete { matched })
}

/// A whole batch up to 0/110, or why it is none.
async fn apply(
    destination: &mut SqlServerDestination,
    row: &PositionRow,
    operations: Vec<Operation>,
) -> Result<PositionRow> {
    destination.begin(row, &row.advanced(Lsn(0x110))).await?;
    destination.execute(operations).await?;
    match destination.commit().await? {
        Outcome::Committed(row) => Ok(row),
        Outcome::NotCommitted(error) => Err(error),
    }
}

/// Statements from the `first` on without what was looked up, and whether they begin like these.
fn came(book: &Book, first: usize, expected: &[&str]) {
    let all = book.endpoint.since(first);
    all.iter().for_each(|sql| parsed::read(sql));
    let looks = ["SELECT o.[", "SELECT c.[", "SELECT i.[", "SELECT (SELECT"];
    let is_look = |sql: &&String| looks.iter().any(|look| sql.starts_with(look));
    let come: Vec<&String> = all.iter().filter(|sql| !is_look(sql)).collect();
    let same = come.len() == expected.len()
        && come
            .iter()
            .zip(expected)
            .all(|(come, expected)| come.starts_with(expected));
    assert!(same, "{come:#?}\n{expected:#?}");
}

fn mark(book: &Book) -> usize {
    book.endpoint.statements().len()
}

fn deadlock() -> Answer {
    Answer::Error(1205, 13, "chosen as the deadlock victim".to_owned())
}

fn duplicate() -> Answer {
    let words = "Violation of PRIMARY KEY constraint 'PK_t'. Cannot insert duplicate key in object 'dbo.t'.";
    Answer::Error(2627, 14, words.to_owned())
}

#[tokio::test]
async fn a_first_start_makes_our_tables_and_writes_the_position_within_transactions() {
    let book = Book::open().await;
    let first = mark(&book);
    let (mut destination, row, t) = streaming(&book).await;
    assert_eq!(
        (row.state, row.epoch, &*book.lsn()),
        (State::Streaming, 1, "0/100")
    );
    let all = book.endpoint.since(first);
    all.iter().for_each(|sql| parsed::read(sql));
    let at = |start: &str| all.iter().position(|sql| sql.starts_with(start)).unwrap();
    let ours = "IF OBJECT_ID(N'[dbo].[_replicator_position]', N'U') IS NULL CREATE TABLE";
    let settled =
        |sql: &String| sql.ends_with("[_replicator_position] WITH (UPDLOCK) WHERE [slot] = @P1");
    assert!(at(BEGIN) < at(ours) && at(ours) < all.iter().position(settled).unwrap());
    assert!(at("INSERT INTO [dbo].[_replicator_position]") < at(COMMIT));
    assert_eq!(all.iter().filter(|sql| *sql == BEGIN).count(), 2);

    // A later start finds it, and a newcomer takes it over.
    assert_eq!(destination.position("s").await.unwrap(), Some(row.clone()));
    let first = mark(&book);
    let raised = destination.raise_epoch("s", "process 2").await.unwrap();
    assert_eq!((raised.epoch, &*raised.holder), (2, "process 2"));
    let all = book.endpoint.since(first);
    all.iter().for_each(|sql| parsed::read(sql));
    assert!(
        all.iter().any(|sql| sql == "SET LOCK_TIMEOUT 1000"),
        "{all:#?}"
    );
    let error = apply(&mut destination, &row, vec![insert(&t, 1)])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("took over slot s"), "{error}");
}

#[tokio::test]
async fn our_tables_of_an_older_layout_are_brought_to_this_one_before_the_epoch() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    book.ages();
    assert_eq!(destination.position("s").await.unwrap(), Some(row));
    let first = mark(&book);
    let row = destination.raise_epoch("s", "process 2").await.unwrap();
    let all = book.endpoint.since(first);
    all.iter().for_each(|sql| parsed::read(sql));
    let at = |start: &str| all.iter().position(|sql| sql.starts_with(start)).unwrap();
    let column = "IF COL_LENGTH(N'dbo._replicator_position', N'source_time') IS NULL ALTER TABLE";
    assert!(at(BEGIN) < at(column) && at(column) < at(MOVE) && at(MOVE) < at(COMMIT));
    assert!(all[at(MOVE)].contains("[version] = 3"), "{all:#?}");
    apply(&mut destination, &row, vec![insert(&t, 1)])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_batch_is_its_position_then_its_rows_then_its_commit() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    let first = mark(&book);
    let operations = vec![insert(&t, 1), update(&t, 2), delete(&t, 3)];
    let row = apply(&mut destination, &row, operations).await.unwrap();
    let (update, delete) = (
        "UPDATE [dbo].[t] SET [name] = ",
        "DELETE FROM [dbo].[t] WHERE [id] = ",
    );
    came(
        &book,
        first,
        &[BEGIN, MOVE, SAVE, INSERT, update, delete, COMMIT],
    );
    assert_eq!((row.lsn, &*book.lsn()), (Lsn(0x110), "0/110"));

    // One change alone has nothing to step back to.
    let first = mark(&book);
    apply(&mut destination, &row, vec![insert(&t, 4)])
        .await
        .unwrap();
    came(&book, first, &[BEGIN, MOVE, INSERT, COMMIT]);
    // And a position alone has no rows.
    let first = mark(&book);
    destination
        .begin(&row, &row.advanced(Lsn(0x120)))
        .await
        .unwrap();
    destination.rollback().await.unwrap();
    came(&book, first, &[BEGIN, MOVE, ROLLBACK]);
    assert_eq!(book.lsn(), "0/110");
}

#[tokio::test]
async fn many_rows_go_through_a_temporary_table_and_hundreds_in_bulk() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    let first = mark(&book);
    let updates = (0..7).map(|id| update(&t, id)).collect();
    let row = apply(&mut destination, &row, updates).await.unwrap();
    let ready =
        "IF OBJECT_ID(N'tempdb..#_replicator_stage_1') IS NULL CREATE TABLE #_replicator_stage_1 (";
    let filling = "INSERT INTO #_replicator_stage_1 VALUES ";
    let joined = "UPDATE t SET [name] = v.[c0] FROM [dbo].[t] AS t INNER JOIN #_replicator_stage_1 AS v ON t.[id] = v.[c1]";
    // In fours, twos and ones: few statements, of which the server knows most.
    came(
        &book,
        first,
        &[
            BEGIN, MOVE, SAVE, ready, filling, filling, filling, joined, COMMIT,
        ],
    );

    let first = mark(&book);
    book.loads(60);
    let inserts = (0..60).map(|id| insert(&t, id)).collect();
    let row = apply(&mut destination, &row, inserts).await.unwrap();
    let ready = "IF OBJECT_ID(N'tempdb..#_replicator_stage_2') IS NULL";
    let (looked, bulk) = ("SELECT TOP 0 * FROM ", "INSERT BULK #_replicator_stage_2");
    let joined =
        "INSERT INTO [dbo].[t] ([id], [name]) SELECT v.[c0], v.[c1] FROM #_replicator_stage_2 AS v";
    came(
        &book,
        first,
        &[BEGIN, MOVE, SAVE, ready, looked, bulk, joined, COMMIT],
    );

    // A row less than there should be is a conflict, whose row is then found alone.
    let first = mark(&book);
    let deletes = (0..5).map(|id| delete(&t, id)).collect();
    let short = || Answer::Rows(vec![vec![Cell::Number(4)]]);
    book.plan("DELETE t FROM", short());
    let missing = Answer::Rows(vec![vec![Cell::Number(0)]]);
    book.plan("DELETE FROM [dbo].[t]", missing);
    let error = apply(&mut destination, &row, deletes).await.unwrap_err();
    assert!(words(&error).contains("id = 0"), "{error}");
    assert_eq!(error.exit_code(), 3);
    let all = book.endpoint.since(first);
    assert!(all.iter().any(|sql| sql == BACK) && all.last().is_some_and(|sql| sql == ROLLBACK));
}

#[tokio::test]
async fn a_deadlock_victim_is_begun_again_from_the_start_of_its_batch() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    book.falls();
    book.plan(INSERT, deadlock());
    let first = mark(&book);
    let operations = || vec![insert(&t, 1), update(&t, 2)];
    let error = apply(&mut destination, &row, operations())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
    assert!(error.to_string().contains("[1205]"), "{error}");
    // It is left to who has the batch, and the row is where it was.
    came(&book, first, &[BEGIN, MOVE, SAVE, INSERT, ROLLBACK]);
    assert_eq!(book.lsn(), "0/100");
    let first = mark(&book);
    apply(&mut destination, &row, operations()).await.unwrap();
    came(
        &book,
        first,
        &[BEGIN, MOVE, SAVE, INSERT, "UPDATE [dbo].[t]", COMMIT],
    );
    assert_eq!(book.lsn(), "0/110");
    // One that is alone, and one of the position's.
    for start in [INSERT, MOVE] {
        book.plan(start, deadlock());
        let now = destination.position("s").await.unwrap().unwrap();
        let error = apply(&mut destination, &now, vec![insert(&t, 1)])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
    }
}

#[tokio::test]
async fn a_duplicate_key_is_named_and_never_passed_over() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    let first = mark(&book);
    book.plan(INSERT, duplicate());
    book.plan(INSERT, duplicate());
    let operations = || vec![insert(&t, 1), update(&t, 2)];
    let error = apply(&mut destination, &row, operations())
        .await
        .unwrap_err();
    let text = words(&error);
    for word in ["table public.t, insert at 0/108", "id = 1", "PK_t"] {
        assert!(text.contains(word), "{text}");
    }
    assert_eq!(
        (error.kind(), error.refused_lsn().is_some()),
        (ErrorKind::Person, true)
    );
    // Together, then alone, where it is the same; and no third time.
    came(
        &book,
        first,
        &[BEGIN, MOVE, SAVE, INSERT, STANDS, BACK, INSERT, ROLLBACK],
    );
    assert_eq!(book.lsn(), "0/100");
}

#[tokio::test]
async fn a_batch_that_the_server_has_undone_is_begun_again_one_by_one() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    let first = mark(&book);
    book.falls();
    book.plan(INSERT, duplicate());
    let operations = || vec![insert(&t, 1), update(&t, 2)];
    destination
        .begin(&row, &row.advanced(Lsn(0x110)))
        .await
        .unwrap();
    book.falls();
    let error = destination.execute(operations()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
    came(&book, first, &[BEGIN, MOVE, SAVE, INSERT, STANDS, ROLLBACK]);

    let first = mark(&book);
    book.plan(INSERT, duplicate());
    let error = apply(&mut destination, &row, operations())
        .await
        .unwrap_err();
    assert!(words(&error).contains("id = 1"), "{error}");
    came(&book, first, &[BEGIN, MOVE, INSERT, ROLLBACK]);
    // That batch alone.
    let first = mark(&book);
    apply(&mut destination, &row, operations()).await.unwrap();
    came(
        &book,
        first,
        &[BEGIN, MOVE, SAVE, INSERT, "UPDATE [dbo].[t]", COMMIT],
    );
}

#[tokio::test]
async fn a_conflict_is_resolved_in_the_same_transaction_where_that_is_asked_for() {
    let book = Book::open().await;
    let (_, row, t) = streaming(&book).await;
    let applying = options(&book).on_conflict(OnConflict::Apply);
    let mut destination = SqlServerDestination::open(applying).await.unwrap();
    let first = mark(&book);
    book.plan(INSERT, duplicate());
    apply(&mut destination, &row, vec![insert(&t, 1)])
        .await
        .unwrap();
    let save = "SET XACT_ABORT OFF; SAVE TRANSACTION alone";
    let back = "ROLLBACK TRANSACTION alone";
    let update = "UPDATE [dbo].[t] SET [id] = CONVERT(int, @P1), [name] = ";
    came(
        &book,
        first,
        &[BEGIN, MOVE, save, INSERT, back, update, COMMIT],
    );
}

#[tokio::test]
async fn a_refused_row_is_left_out_and_the_others_go_on() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    let first = mark(&book);
    let null = "Cannot insert the value NULL into column 'name', table 'shop.dbo.t'; column does not allow nulls.";
    book.plan(INSERT, Answer::error(515, null));
    book.plan(INSERT, Answer::error(515, null));
    destination
        .begin(&row, &row.advanced(Lsn(0x110)))
        .await
        .unwrap();
    let refused = destination
        .attempt(vec![insert(&t, 1), update(&t, 2)])
        .await
        .unwrap();
    assert_eq!(refused.len(), 1);
    assert!(
        refused[0].error.to_string().contains("column name"),
        "{}",
        refused[0].error
    );
    assert!(matches!(
        destination.commit().await.unwrap(),
        Outcome::Committed(_)
    ));
    let save = "SET XACT_ABORT OFF; SAVE TRANSACTION attempt";
    let back = "ROLLBACK TRANSACTION attempt";
    let update = "UPDATE [dbo].[t]";
    came(
        &book,
        first,
        &[
            BEGIN, MOVE, SAVE, INSERT, STANDS, BACK, save, INSERT, STANDS, back, save, update,
            COMMIT,
        ],
    );
}

#[tokio::test]
async fn a_table_is_copied_chunk_by_chunk_under_a_shared_lock_and_read_back() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    let made = destination.create_table("s", &t, Existing::Refuse).await;
    made.unwrap();
    destination.begin_copy(&row, &t, Lsn(0x100)).await.unwrap();
    let chunk = || {
        let mut chunk = Chunk::new(Arc::clone(&t), Lsn(0x100), 0, 1);
        (0..60).for_each(|id| chunk.push(format!("{id}\ta\n").as_bytes()));
        chunk
    };
    let held = "SELECT [state], ";
    let (table, last) = ("SELECT [oid], ", "SELECT [number] FROM ");
    let ready = "IF OBJECT_ID(N'tempdb..#_replicator_stage_1') IS NULL";
    let (looked, bulk) = ("SELECT TOP 0 * FROM ", "INSERT BULK ");
    let put = "INSERT INTO [dbo].[_replicator_chunks]";
    for is_new in [true, false] {
        let first = mark(&book);
        book.loads(60);
        destination.copy(&row, chunk()).await.unwrap();
        let all = [
            BEGIN, held, table, last, ready, looked, bulk, INSERT, put, COMMIT,
        ];
        let again = [BEGIN, held, table, last, COMMIT];
        came(&book, first, if is_new { &all } else { &again });
        let shared = "[_replicator_position] WITH (REPEATABLEREAD) WHERE [slot] = @P1";
        assert!(book.endpoint.since(first)[1].ends_with(shared));
    }
    // One row less than there should be keeps all of it out.
    let mut second = Chunk::new(Arc::clone(&t), Lsn(0x100), 0, 2);
    second.push(b"60\ta\n");
    second.push(b"61\t\\N\n");
    book.plan(INSERT, Answer::Rows(vec![vec![Cell::Number(1)]]));
    let error = destination.copy(&row, second).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("did not take every row"), "{error}");
    let first = mark(&book);
    let finished = destination.finish_copy(&row, t.oid, Lsn(0x100)).await;
    finished.unwrap();
    let all = book.endpoint.since(first);
    assert!(
        all.iter()
            .any(|sql| sql.starts_with("DELETE FROM [dbo].[_replicator_chunks]"))
    );

    let rows = destination.read(&t).await;
    let rows = rows.unwrap().next().await.unwrap().unwrap();
    assert_eq!(rows[0], [Value::Integer(1), Value::Text("a".to_owned())]);
    assert_eq!(rows[1], [Value::Integer(2), Value::Null]);
    let all = book.endpoint.statements();
    all.iter().for_each(|sql| parsed::read(sql));
    // Who was taken over copies nothing more.
    book.meddle(Some(9), None);
    let error = destination.copy(&row, chunk()).await.unwrap_err();
    assert!(error.to_string().contains("took over"), "{error}");
}
