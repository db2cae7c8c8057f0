//! Sessions against a server that says what a test wants it to, and against a real one where there is one.

mod book;
mod certificates;
mod endpoint;
mod loading;
mod looking;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use walproto::{Lsn, Oid};

use super::failure::{failure, is_duplicate, is_there, refusal, said};
use super::server::Product;
use super::session::{Patience, Session, Stage, column};
use super::url::Address;
use super::values::{Sent, number, parameter, text};
use crate::dialect::sqlserver::parsed;
use crate::dialect::sqlserver::types::Held;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Action, Operation};
use crate::table::{Column, Table};
use crate::value::Value;
use endpoint::{Answer, Cell, Encryption, Endpoint, Heard};
use loading::{held, row, stage};

const PATIENCE: Patience = Patience {
    locks: Duration::from_secs(7),
    answer: Duration::from_millis(150),
};

const VERSION: &str = "Microsoft SQL Server 2022 (RTM) - 16.0.1000.6 (X64)\n\tDeveloper Edition";

/// What a server of 2022 answers while a session is opened, and `Done` to all else.
fn usual(heard: &Heard) -> Answer {
    let text = |text: &str| Cell::Text(text.to_owned());
    let Heard::Call(sql, ..) = heard else {
        return Answer::Done;
    };
    Answer::Rows(vec![if sql.contains("@@VERSION") {
        vec![text(VERSION)]
    } else if sql.contains("delayed_durability") {
        let (collation, may) = (text("SQL_Latin1_General_CP1_CI_AS"), text("READ_WRITE"));
        vec![
            text("16.0.1000.6"),
            Cell::Int(3),
            Cell::Int(160),
            Cell::Int(0),
            collation,
            may,
        ]
    } else if sql.contains("@@SPID AS int") {
        vec![Cell::Int(57), text("2026-11-28T20:00:00.003")]
    } else {
        return Answer::Done;
    }])
}

fn ran(count: i64) -> Answer {
    Answer::Rows(vec![vec![Cell::Number(count)]])
}

/// A server that answers as usual where `reply` has nothing to say, and a session there.
async fn opened(
    reply: impl Fn(&Heard) -> Option<Answer> + Send + Sync + 'static,
) -> (Endpoint, Session) {
    let answer = move |heard: &Heard| reply(heard).unwrap_or_else(|| usual(heard));
    let endpoint = Endpoint::start(Encryption::None, answer).await;
    let session = open(&endpoint.url("")).await.unwrap();
    (endpoint, session)
}

async fn open(url: &str) -> Result<Session> {
    Session::open(&Address::read(url)?, PATIENCE, false).await
}

/// The text of a statement.
fn sql(heard: &Heard) -> &str {
    match heard {
        Heard::Batch(sql) | Heard::Call(sql, ..) => sql,
        _ => "",
    }
}

fn words(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", cause.unwrap_or_default())
}

#[tokio::test]
async fn a_session_is_opened_with_what_our_promises_need() {
    let (endpoint, session) = opened(|_| None).await;
    assert_eq!(session.server.product, Product::SqlServer(16));
    assert!(session.server.folds && !session.is_lost());
    assert_eq!(session.number(), (57, "2026-11-28T20:00:00.003"));
    let heard = endpoint.heard();
    let login = Heard::Login("sa".to_owned(), "p@ss".to_owned(), "shop".to_owned());
    assert_eq!(heard[0], login);
    let settings = heard.iter().find_map(|heard| match heard {
        Heard::Batch(sql) => Some(sql),
        _ => None,
    });
    for setting in [
        "SET XACT_ABORT ON",
        "SET NOCOUNT OFF",
        "SET IMPLICIT_TRANSACTIONS OFF",
        "SET LANGUAGE us_english; SET DATEFORMAT ymd",
        "SET QUOTED_IDENTIFIER ON",
        "SET ANSI_WARNINGS ON",
        "SET LOCK_TIMEOUT 7000;",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ] {
        assert!(
            settings.is_some_and(|settings| settings.contains(setting)),
            "{setting}"
        );
    }
    session.close().await;
}

#[tokio::test]
async fn where_nobody_listens_another_try_may_help() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = open(&format!("sqlserver://sa@127.0.0.1:{port}/shop"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry);
    let place = format!("could not connect to the destination server 127.0.0.1:{port}");
    assert_eq!(error.to_string(), place);
}

#[tokio::test]
async fn a_login_that_is_refused_is_for_who_wrote_the_url() {
    for (number, words, hint) in [
        (18456, "Login failed for user 'sa'.", "user and password"),
        (
            4060,
            "Cannot open database \"shop\" requested by the login.",
            "database",
        ),
    ] {
        let answer = move |heard: &Heard| match heard {
            Heard::Login(..) => Answer::Error(number, 14, words.to_owned()),
            heard => usual(heard),
        };
        let endpoint = Endpoint::start(Encryption::None, answer).await;
        let error = open(&endpoint.url("")).await.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("p@ss"), "{error}");
        assert!(
            error.hint().is_some_and(|text| text.contains(hint)),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_gateway_sends_us_on() {
    let behind = Endpoint::start(Encryption::None, usual).await;
    let port = behind.port;
    let routed = move |heard: &Heard| match heard {
        Heard::Login(..) => Answer::Routed("127.0.0.1".to_owned(), port),
        heard => usual(heard),
    };
    let gateway = Endpoint::start(Encryption::None, routed).await;
    open(&gateway.url("")).await.unwrap();
    assert_eq!((gateway.heard().len(), behind.heard().len()), (1, 5));
}

#[tokio::test]
async fn statements_arrive_as_they_are_meant() {
    let (endpoint, mut session) =
        opened(|heard| sql(heard).starts_with("UPDATE").then(|| ran(3))).await;
    let long = Value::Text("😀x".repeat(30_000));
    let values = [
        Value::Integer(i64::MIN),
        Value::Real(0.1),
        Value::Null,
        Value::Text("it's ü".to_owned()),
        Value::Blob(vec![0, 255]),
        long.clone(),
        Value::Blob(vec![7; 9_000]),
    ];
    let update = "UPDATE [t] SET [a] = @P1";
    let sent: Vec<Sent<'_>> = values.iter().map(parameter).collect();
    assert_eq!(session.execute(update, sent).await.unwrap(), 3);
    let Value::Text(long) = long else {
        panic!("a text");
    };
    let expected = Heard::Call(
        "UPDATE [t] SET [a] = @P1; SELECT CAST(@@ROWCOUNT AS bigint)".to_owned(),
        "@P1 bigint,@P2 float(53),@P3 nvarchar(4000),@P4 nvarchar(4000),@P5 varbinary(8000),@P6 nvarchar(max),@P7 varbinary(max)"
            .to_owned(),
        vec![
            Cell::Number(i64::MIN),
            Cell::Float(0.1),
            Cell::Null,
            Cell::Text("it's ü".to_owned()),
            Cell::Bytes(vec![0, 255]),
            Cell::Text(long),
            Cell::Bytes(vec![7; 9_000]),
        ],
    );
    assert_eq!(endpoint.heard().last(), Some(&expected));

    session.run("BEGIN TRANSACTION").await.unwrap();
    assert_eq!(
        endpoint.heard().last(),
        Some(&Heard::Batch("BEGIN TRANSACTION".to_owned()))
    );
    assert_eq!(session.change("UPDATE ours", Vec::new()).await.unwrap(), 3);
}

#[tokio::test]
async fn a_count_that_does_not_come_is_an_error() {
    let (_endpoint, mut session) = opened(|_| None).await;
    let error = session
        .execute("DELETE FROM [t]", Vec::new())
        .await
        .unwrap_err();
    assert!(said(&error).contains("counts no rows"), "{error}");
}

#[tokio::test]
async fn rows_come_back_with_their_types() {
    let (_endpoint, mut session) = opened(|heard| match sql(heard) {
        "SELECT ours" => Some(Answer::Rows(vec![
            vec![Cell::Text("a".to_owned()), Cell::Int(1)],
            vec![Cell::Null, Cell::Int(2)],
        ])),
        sql if sql.contains("XACT_STATE") => Some(Answer::Rows(vec![vec![Cell::Int(1)]])),
        _ => None,
    })
    .await;
    let rows = session
        .rows("SELECT ours", vec![number(1), text("x".to_owned())])
        .await
        .unwrap();
    let read = |at: usize| column::<Option<String>>(&rows[at], 0).unwrap();
    assert_eq!((read(0).as_deref(), read(1)), (Some("a"), None));
    assert_eq!(column::<i32>(&rows[1], 1).unwrap(), 2);
    // NULL where there must be something, another type, a column too many.
    assert!(column::<String>(&rows[1], 0).is_err());
    assert!(column::<String>(&rows[0], 1).is_err());
    assert!(column::<i32>(&rows[0], 2).is_err());
    assert!(session.in_transaction().await.unwrap());
}

/// A session that meets the error that its statement names.
async fn met(error: u32, severity: u8, message: &'static str) -> (Error, bool, Session) {
    let (_endpoint, mut session) = opened(move |heard| match heard {
        Heard::Batch(sql) if sql == "work" => {
            Some(Answer::Error(error, severity, message.to_owned()))
        }
        _ => None,
    })
    .await;
    let error = session.run_text("work").await.unwrap_err();
    let duplicate = is_duplicate(&error);
    (failure("what", error), duplicate, session)
}

#[tokio::test]
async fn what_passes_by_itself_is_worth_another_try() {
    // Deadlock, lock wait, log full, disk full, read-only by now, too busy, being recovered, a snapshot's conflict.
    for number in [1205, 1222, 9002, 1105, 3906, 40501, 922, 3960] {
        let (error, _, session) = met(number, 16, "m").await;
        assert_eq!(error.kind(), ErrorKind::Retry, "{number}");
        assert_eq!(error.is_locked_out(), number == 1222);
        assert!(!session.is_lost(), "{number}");
    }
    // Password, database, rights.
    for number in [18456, 4060, 229, 262] {
        assert_eq!(
            met(number, 14, "m").await.0.kind(),
            ErrorKind::Usage,
            "{number}"
        );
    }
    // Keys, NULL, checks, too long, of another form, and what nobody has told us about.
    for number in [2627, 2601, 515, 547, 8152, 2628, 245, 208, 999_999] {
        let (error, duplicate, _) = met(number, 16, "m").await;
        assert_eq!(error.kind(), ErrorKind::Person, "{number}");
        assert_eq!(duplicate, matches!(number, 2627 | 2601));
    }
    // The end of a session, whatever its number.
    for (number, severity) in [(596, 16), (6005, 16), (999_999, 20)] {
        let (error, _, session) = met(number, severity, "m").await;
        assert_eq!(error.kind(), ErrorKind::Retry, "{number}");
        assert!(session.is_lost(), "{number}");
    }
}

#[tokio::test]
async fn a_session_goes_on_behind_an_error() {
    let (_, _, mut session) = met(1205, 13, "chosen as the deadlock victim").await;
    session.run("SELECT 1").await.unwrap();
    let there = met(
        2714,
        16,
        "There is already an object named 't' in the database.",
    )
    .await;
    assert!(there.0.to_string().contains("[2714]"));
}

#[tokio::test]
async fn a_refused_row_is_named_with_its_column_or_constraint() {
    for (number, message, place) in [
        (
            515,
            "Cannot insert the value NULL into column 'c', table 'd.dbo.t'; column does not allow nulls.",
            "column c",
        ),
        (
            547,
            "The INSERT statement conflicted with the CHECK constraint \"positive\". The conflict occurred in database \"d\".",
            "constraint positive",
        ),
        (
            2628,
            "String or binary data would be truncated in table 'd.dbo.t', column 'c'. Truncated value: 'x'.",
            "column c",
        ),
        (
            2627,
            "Violation of PRIMARY KEY constraint 'PK_t'. Cannot insert duplicate key in object 'dbo.t'.",
            "constraint PK_t",
        ),
        (
            2601,
            "Cannot insert duplicate key row in object 'dbo.t' with unique index 'second'.",
            "index second",
        ),
        (
            245,
            "Conversion failed when converting the nvarchar value 'x' to data type int.",
            "public.t",
        ),
        (50_001, "not on Sundays", "public.t"),
    ] {
        let (_endpoint, mut session) =
            opened(move |heard| (sql(heard) == "work").then(|| Answer::error(number, message)))
                .await;
        let error = session.run_text("work").await.unwrap_err();
        let error = refusal(&insert(), error);
        let text = error.to_string();
        assert!(text.contains(place) && text.contains(message), "{text}");
        assert_eq!(error.refused_lsn(), Some(Lsn(9)), "{text}");
    }
    // Not the row's fault.
    let (_endpoint, mut session) =
        opened(|heard| (sql(heard) == "work").then(|| Answer::error(208, "no such table"))).await;
    let error = session.run_text("work").await.unwrap_err();
    assert!(!is_there(&error));
    assert_eq!(refusal(&insert(), error).refused_lsn(), None);
}

fn insert() -> Operation {
    let table = Table {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        destination: "dbo.t".to_owned(),
        columns: vec![Column::new("id", Oid(23), -1, Oid(23))],
        key: vec![0],
        identity: 'd',
        relfilenode: 1,
    };
    Operation {
        table: Arc::new(table),
        lsn: Lsn(9),
        action: Action::Insert {
            values: vec![Value::Integer(7)],
        },
    }
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_an_answer_is_lost() {
    let (endpoint, mut session) =
        opened(|heard| (sql(heard) == "SELECT cut").then_some(Answer::Cut)).await;
    let error = session.rows("SELECT cut", Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry);
    assert!(session.is_lost());
    // And nothing is sent over it any more.
    let heard = endpoint.heard().len();
    let error = session.run("SELECT 1").await.unwrap_err();
    assert!(words(&error).contains("interrupted"), "{}", words(&error));
    assert_eq!(endpoint.heard().len(), heard);
}

#[tokio::test]
async fn who_does_not_wait_for_an_answer_leaves_a_session_of_no_use() {
    let (endpoint, mut session) =
        opened(|heard| (sql(heard) == "slow").then_some(Answer::Silence)).await;
    let waited = tokio::time::timeout(Duration::from_millis(50), session.run("slow")).await;
    assert!(waited.is_err() && session.is_lost());
    let heard = endpoint.heard().len();
    assert_eq!(
        session.run("SELECT 1").await.unwrap_err().kind(),
        ErrorKind::Retry
    );
    assert_eq!(endpoint.heard().len(), heard);
}

#[tokio::test]
async fn a_server_that_answers_nobody_is_given_up() {
    let logins = AtomicU32::new(0);
    let (_endpoint, mut session) = opened(move |heard| match heard {
        Heard::Login(..) if logins.fetch_add(1, Ordering::Relaxed) > 0 => Some(Answer::Silence),
        Heard::Batch(sql) if sql == "slow" => Some(Answer::Silence),
        _ => None,
    })
    .await;
    let error = session.run("slow").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry);
    assert!(
        words(&error).contains("a new connection either"),
        "{}",
        words(&error)
    );
    assert!(session.is_lost());
}

#[tokio::test]
async fn a_server_at_work_is_waited_for_and_one_that_is_not_is_given_up() {
    let asked = Arc::new(AtomicU32::new(0));
    let asks = Arc::clone(&asked);
    let (endpoint, mut session) = opened(move |heard| match sql(heard) {
        "slow" => Some(Answer::Silence),
        sql if sql.contains("dm_exec_requests") => {
            // At work; not to be seen by this user; twice in a row at nothing.
            let told = match asks.fetch_add(1, Ordering::Relaxed) {
                0 => [1, 1],
                1 => [0, 0],
                _ => [1, 0],
            };
            Some(Answer::Rows(vec![told.map(Cell::Int).to_vec()]))
        }
        _ => None,
    })
    .await;
    let error = session.run("slow").await.unwrap_err();
    assert!(
        words(&error).contains("has nothing to do"),
        "{}",
        words(&error)
    );
    assert_eq!(
        (error.kind(), asked.load(Ordering::Relaxed)),
        (ErrorKind::Retry, 4)
    );
    let all = endpoint.statements();
    all.iter()
        .filter(|sql| *sql != "slow")
        .for_each(|sql| parsed::read(sql));
}

#[tokio::test]
async fn a_session_that_was_not_used_is_asked_for() {
    let (endpoint, mut session) = opened(|_| None).await;
    session.look().await;
    assert_eq!(
        endpoint
            .statements()
            .last()
            .map(String::as_str)
            .map(|sql| sql == "SELECT 1"),
        Some(false)
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    session.look().await;
    assert_eq!(
        endpoint.statements().last().map(String::as_str),
        Some("SELECT 1")
    );
}

#[tokio::test]
async fn a_session_that_holds_rows_is_ended_if_it_is_still_that_one() {
    let (endpoint, mut session) = opened(|heard| match heard {
        Heard::Call(sql, _, values) if sql.contains("dm_exec_sessions] WHERE") => {
            let seen = matches!(values.first(), Some(Cell::Number(57 | 58 | 60)));
            let rows = if seen {
                vec![vec![Cell::Int(58)]]
            } else {
                Vec::new()
            };
            Some(Answer::Rows(rows))
        }
        Heard::Batch(sql) if sql == "KILL 60" => Some(Answer::error(6102, "no permission")),
        _ => None,
    })
    .await;
    let since = "2026-11-28T19:00:00.000";
    assert!(session.end(58, since).await.unwrap());
    let heard = endpoint.heard();
    let [.., Heard::Call(_, _, asked), last] = &heard[..] else {
        panic!("{heard:?}");
    };
    assert_eq!(asked[..], [Cell::Number(58), Cell::Text(since.to_owned())]);
    assert_eq!(*last, Heard::Batch("KILL 58".to_owned()));
    // Gone or not to be seen; ourselves.
    for other in [59, 57] {
        assert!(!session.end(other, since).await.unwrap(), "{other}");
    }
    let error = session.end(60, since).await.unwrap_err();
    assert!(error.to_string().contains("KILL was refused"), "{error}");
    let kills = endpoint
        .statements()
        .into_iter()
        .filter(|sql| sql.starts_with("KILL"));
    assert_eq!(kills.collect::<Vec<_>>(), ["KILL 58", "KILL 60"]);
}

/// `REPLICATOR_TEST_SQLSERVER_URL=sqlserver://… cargo test -p replicator --features sqlserver --lib -- --ignored
/// a_real_server`; the user may make temporary tables there.
#[tokio::test]
#[ignore = "needs a SQL Server: REPLICATOR_TEST_SQLSERVER_URL names one"]
async fn a_real_server_takes_what_a_session_sends() {
    let url = std::env::var("REPLICATOR_TEST_SQLSERVER_URL")
        .expect("REPLICATOR_TEST_SQLSERVER_URL names a server");
    let patience = Patience {
        locks: Duration::from_secs(7),
        answer: Duration::from_secs(30),
    };
    let url = match url.trim_start_matches("sqlserver://").contains('/') {
        true => url,
        false => format!("{url}/master"),
    };
    let address = Address::read(&format!("{url}?sslmode=disable")).unwrap();
    let mut session = Session::open(&address, patience, false).await.unwrap();
    assert!(session.number().0 > 0);
    session.run("BEGIN TRANSACTION").await.unwrap();
    assert!(session.in_transaction().await.unwrap());
    let create = "CREATE TABLE [#stage] ([c0] int NULL, [c1] nvarchar(max) NULL, [c2] datetime2(6) NULL, \
                  [c3] datetimeoffset(6) NULL, [c4] decimal(20, 6) NULL)";
    session.run(create).await.unwrap();
    let (held, rows) = (
        held(),
        [
            row(1, "é"),
            row(2, &"😀x".repeat(30_000)),
            vec![Value::Null; 5],
        ],
    );
    let rows: Vec<Vec<&Value>> = rows.iter().map(|row| row.iter().collect()).collect();
    session.fill(stage(&held), &rows).await.unwrap();
    let select = "SELECT CONVERT(nvarchar(40), DATALENGTH([c1])), CONVERT(nvarchar(40), [c2], 121), \
                  CONVERT(nvarchar(40), [c3], 121), CONVERT(nvarchar(40), [c4]) FROM [#stage] ORDER BY [c0]";
    let rows = session.rows(select, Vec::new()).await.unwrap();
    let read = |at: usize, of: usize| column::<Option<String>>(&rows[at], of).unwrap();
    for (at, length) in [(1, "2"), (2, "180000")] {
        assert_eq!(read(at, 0).as_deref(), Some(length));
        assert_eq!(read(at, 1).as_deref(), Some("1970-01-01 00:00:01.500000"));
        assert_eq!(
            read(at, 2).as_deref(),
            Some("1970-01-01 00:00:01.500000 +00:00")
        );
        assert_eq!(read(at, 3).as_deref(), Some("-1.500000"));
    }
    assert_eq!(read(0, 2), None);
    let deleted = session.execute(
        "DELETE FROM [#stage] WHERE [c0] > CONVERT(int, @P1)",
        vec![number(1)],
    );
    assert_eq!(deleted.await.unwrap(), 1);
    session.run("ROLLBACK TRANSACTION").await.unwrap();
    assert!(!session.in_transaction().await.unwrap());

    // An error undoes the transaction; the session goes on.
    session
        .run("CREATE TABLE [#key] ([id] int NOT NULL PRIMARY KEY)")
        .await
        .unwrap();
    session.run("BEGIN TRANSACTION").await.unwrap();
    let twice = session
        .run_text("INSERT INTO [#key] VALUES (1), (1)")
        .await
        .unwrap_err();
    assert!(is_duplicate(&twice), "{twice}");
    assert!(!session.in_transaction().await.unwrap());
    session.close().await;
}
