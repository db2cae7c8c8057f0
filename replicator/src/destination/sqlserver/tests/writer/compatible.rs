//! A server that is none of Microsoft's: what it does not take, and what it does otherwise.

use super::*;

const BABELFISH: &str =
    "Babelfish for PostgreSQL with SQL Server Compatibility - 12.0.2000.8\nPostgreSQL 17.5";
const HOLD: &str = "UPDATE [dbo].[_replicator_position] WITH (UPDLOCK) SET [version] = [version] WHERE [slot] = @P1";
const HELD: &str = "SELECT [state], ";

async fn babelfish() -> Book {
    let book = Book::open().await;
    book.is(BABELFISH);
    book
}

/// As it reports what has no number in its list.
fn reported(message: &str) -> Answer {
    Answer::Error(33_557_097, 16, message.to_owned())
}

#[tokio::test]
async fn no_parameter_comes_without_a_type() {
    let book = babelfish().await;
    let (mut destination, row, t) = streaming(&book).await;
    let values = vec![Value::Integer(1), Value::Null];
    let without = of(&t, Action::Insert { values });
    let set = vec![(1, Value::Null)];
    let matched = vec![Value::Integer(2)];
    let emptied = of(&t, Action::Update { set, matched });
    apply(&mut destination, &row, vec![without, emptied])
        .await
        .unwrap();
    let heard = book.endpoint.heard();
    let calls = heard.iter().filter_map(|heard| match heard {
        Heard::Call(sql, _, values) => Some((sql, values)),
        _ => None,
    });
    let mut spelled = 0;
    for (sql, values) in calls {
        assert!(!values.contains(&Cell::Null), "{sql}: {values:?}");
        parsed::read(sql);
        let typed = values.iter().filter(|value| **value == Cell::TypedNull);
        let nulls = sql.matches("CAST(NULL AS nvarchar(4000))").count();
        assert_eq!(typed.count(), nulls, "{sql}");
        spelled += nulls;
    }
    // Both rows', and the times that are not known.
    assert!(spelled > 2, "{heard:#?}");
    let all = book.endpoint.statements();
    // Nor is it asked for settings that nobody needs there.
    assert!(!all.iter().any(|sql| sql.contains("DEADLOCK_PRIORITY")));
    let insert = "INSERT INTO [dbo].[t] ([id], [name]) VALUES (CONVERT(int, @P1), \
         CONVERT(nvarchar(max), CAST(NULL AS nvarchar(4000))))";
    assert!(all.iter().any(|sql| sql.starts_with(insert)), "{all:#?}");
}

#[tokio::test]
async fn the_position_is_held_by_writing_it() {
    let book = babelfish().await;
    let (mut destination, row, t) = streaming(&book).await;
    let made = destination.create_table("s", &t, Existing::Refuse).await;
    made.unwrap();
    destination.begin_copy(&row, &t, Lsn(0x100)).await.unwrap();
    let mut chunk = Chunk::new(Arc::clone(&t), Lsn(0x100), 0, 1);
    chunk.push(b"1\ta\n");
    let first = mark(&book);
    destination.copy(&row, chunk).await.unwrap();
    let came = book.endpoint.since(first);
    assert_eq!((&*came[0], came[1].starts_with(HOLD)), (BEGIN, true));
    assert!(came[2].starts_with(HELD), "{came:#?}");

    // And what became of a commit is looked at when nobody writes it any more.
    book.loses_commit(true);
    let first = mark(&book);
    apply(&mut destination, &row, vec![insert(&t, 1)])
        .await
        .unwrap();
    let came = book.endpoint.since(first);
    let lost = came.iter().position(|sql| sql == COMMIT).unwrap();
    let at = |start: &str| {
        let mut behind = came[lost..].iter();
        behind.position(|sql| sql.starts_with(start)).unwrap()
    };
    assert!(at(BEGIN) < at(HOLD) && at(HOLD) < at(HELD), "{came:#?}");
}

#[tokio::test]
async fn rows_with_fractions_are_not_loaded_in_bulk() {
    let book = babelfish().await;
    let (mut destination, row, t) = streaming(&book).await;
    book.loads(60);
    let inserts = (0..60).map(|id| insert(&t, id)).collect();
    let first = mark(&book);
    let row = apply(&mut destination, &row, inserts).await.unwrap();
    let is_bulk = |sql: &String| sql.starts_with("INSERT BULK");
    assert!(book.endpoint.since(first).iter().any(is_bulk));

    book.has_moments();
    let mut with_moments = Table::clone(&t);
    with_moments.columns[1] = Column::new("name", Oid(1114), -1, Oid(1114));
    let t = Arc::new(with_moments);
    let moment = || Value::Text("2026-11-29 14:00:00.000001".to_owned());
    let inserts = (0..60).map(|id| {
        let values = vec![Value::Integer(id), moment()];
        of(&t, Action::Insert { values })
    });
    let first = mark(&book);
    let row = apply(&mut destination, &row, inserts.collect())
        .await
        .unwrap();
    let updates = (0..60).map(|id| {
        let matched = vec![Value::Integer(id)];
        let set = vec![(1, moment())];
        of(&t, Action::Update { set, matched })
    });
    apply(&mut destination, &row, updates.collect())
        .await
        .unwrap();
    let all = book.endpoint.since(first);
    all.iter().for_each(|sql| parsed::read(sql));
    assert!(!all.iter().any(is_bulk), "{all:#?}");
}

#[tokio::test]
async fn what_has_no_number_is_told_by_its_words() {
    let book = babelfish().await;
    let (mut destination, row, t) = streaming(&book).await;
    let locked = "canceling statement due to lock timeout";
    book.plan(MOVE, reported(locked));
    let inserts = || vec![insert(&t, 1)];
    let error = apply(&mut destination, &row, inserts()).await.unwrap_err();
    assert!(error.is_locked_out(), "{error}");

    // A session that was ended is replaced, and the batch begun in another.
    book.plan(
        BEGIN,
        reported("terminating connection due to administrator command"),
    );
    book.undo();
    apply(&mut destination, &row, inserts()).await.unwrap();
    assert_eq!(book.lsn(), "0/110");
}
