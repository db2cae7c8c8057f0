//! Answers that do not come, sessions and positions that are lost to others, and servers that keep no promise.

use super::*;

#[tokio::test]
async fn what_became_of_a_commit_without_an_answer_is_read_from_the_row() {
    for commits in [true, false] {
        let book = Book::open().await;
        let (mut destination, row, t) = streaming(&book).await;
        book.loses_commit(commits);
        let first = mark(&book);
        let done = apply(&mut destination, &row, vec![insert(&t, 1)]).await;
        let all = book.endpoint.since(first);
        all.iter().for_each(|sql| parsed::read(sql));
        // Over another session, once nobody is about to change it any more.
        let settled = "[_replicator_position] WITH (UPDLOCK) WHERE [slot] = @P1";
        assert!(all.iter().any(|sql| sql.ends_with(settled)), "{all:#?}");
        match done {
            Ok(row) => assert_eq!(
                (commits, row.lsn, &*book.lsn()),
                (true, Lsn(0x110), "0/110")
            ),
            Err(error) => {
                assert!(!commits && book.lsn() == "0/100", "{error}");
                assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
                // Nothing of it is in, so that it can be carried out again.
                apply(&mut destination, &row, vec![insert(&t, 1)])
                    .await
                    .unwrap();
                assert_eq!(book.lsn(), "0/110");
            }
        }
    }
}

#[tokio::test]
async fn a_commit_that_nobody_can_tell_of_is_confirmed_to_nobody() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    // The server has ended the transaction: by itself, or a trigger of somebody's left one open.
    for answer in [
        Answer::error(
            3902,
            "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.",
        ),
        Answer::Rows(vec![vec![Cell::Int(1)]]),
    ] {
        book.plan("COMMIT TRANSACTION", answer);
        let error = apply(&mut destination, &row, vec![insert(&t, 1)])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
        assert!(
            error
                .to_string()
                .contains("ended the transaction by itself"),
            "{error}"
        );
        assert_eq!(book.lsn(), "0/100");
    }
    // And what came in between that is not ours.
    book.loses_commit(false);
    destination
        .begin(&row, &row.advanced(Lsn(0x110)))
        .await
        .unwrap();
    destination.execute(vec![insert(&t, 1)]).await.unwrap();
    book.stolen_at_commit(7);
    let error = destination.commit().await.unwrap_err();
    assert!(error.to_string().contains("process 2 (epoch 7"), "{error}");
}

#[tokio::test]
async fn who_was_taken_over_writes_nothing() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    book.meddle(Some(5), None);
    let first = mark(&book);
    let error = apply(&mut destination, &row, vec![insert(&t, 1)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry);
    assert!(
        error
            .to_string()
            .contains("process 2 (epoch 5, ours was 1)"),
        "{error}"
    );
    came(&book, first, &[BEGIN, MOVE, "SELECT [state]", ROLLBACK]);
    book.meddle(Some(1), Some("0/105"));
    let error = apply(&mut destination, &row, vec![insert(&t, 1)])
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(
        error.to_string().contains("was at 0/100 and is at 0/105"),
        "{error}"
    );
}

#[tokio::test]
async fn a_statement_without_an_answer_costs_its_session_and_nothing_else() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    book.plan(INSERT, Answer::Silence);
    for _ in 0..2 {
        book.plan(
            "SELECT CASE WHEN HAS_PERMS_BY_NAME",
            Answer::Rows(vec![vec![Cell::Int(1), Cell::Int(0)]]),
        );
    }
    let error = apply(&mut destination, &row, vec![insert(&t, 1)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry);
    assert!(
        words(&error).contains("has nothing to do"),
        "{}",
        words(&error)
    );
    // Another session ends the one before, which holds the row until it notices; then all of it once more.
    let first = mark(&book);
    book.is_session(58);
    book.undo();
    apply(&mut destination, &row, vec![insert(&t, 1)])
        .await
        .unwrap();
    let all = book.endpoint.since(first);
    let at = |word: &str| all.iter().position(|sql| sql.contains(word)).unwrap();
    assert!(
        at("@@VERSION") < at("dm_exec_sessions] WHERE") && at("dm_exec_sessions] WHERE") < at(MOVE),
        "{all:#?}"
    );
    assert_eq!(book.lsn(), "0/110");
}

#[tokio::test]
async fn a_lock_of_somebody_elses_is_waited_for_and_its_holder_ended() {
    let book = Book::open().await;
    let (mut destination, row, t) = streaming(&book).await;
    let locked = || Answer::error(1222, "Lock request time out period exceeded.");
    book.plan(MOVE, locked());
    let error = apply(&mut destination, &row, vec![insert(&t, 1)])
        .await
        .unwrap_err();
    assert!(
        error.is_locked_out() && error.kind() == ErrorKind::Retry,
        "{error}"
    );
    // A newcomer's session is another one.
    book.is_session(58);
    let mut newcomer = opened_at(&book).await;
    book.plan(MOVE, locked());
    book.plan(
        "SELECT CAST([session_id] AS int)",
        Answer::Rows(vec![vec![Cell::Int(57)]]),
    );
    let first = mark(&book);
    let row = newcomer.raise_epoch("s", "process 2").await.unwrap();
    assert_eq!(row.epoch, 2);
    let all = book.endpoint.since(first);
    all.iter().for_each(|sql| parsed::read(sql));
    assert!(all.iter().any(|sql| sql == "KILL 57"), "{all:#?}");
}

#[tokio::test]
async fn a_server_that_cannot_keep_promises_opens_nothing() {
    let open = |answer: fn() -> Option<Answer>, parameters: &'static str| async move {
        let endpoint = Endpoint::start(Encryption::None, move |heard| match heard {
            Heard::Call(sql, ..) if sql.contains("delayed_durability") => {
                answer().unwrap_or_else(|| usual(heard))
            }
            Heard::Login(..) if answer().is_none() => {
                Answer::Error(18456, 14, "Login failed for user 'sa'.".to_owned())
            }
            _ => usual(heard),
        })
        .await;
        let options = SqlServerOptions::new(endpoint.url(parameters)).on_misfit(OnMisfit::Fail);
        SqlServerDestination::open(options).await
    };
    fn database(version: &str, edition: i32, level: i32, durability: i32) -> Option<Answer> {
        let text = |text: &str| Cell::Text(text.to_owned());
        let numbers = [edition, level, durability].map(Cell::Int);
        let mut row = vec![text(version)];
        row.extend(numbers);
        row.extend([text("Latin1_General_CI_AS"), text("READ_WRITE")]);
        Some(Answer::Rows(vec![row]))
    }
    type Case = (fn() -> Option<Answer>, &'static str, &'static str);
    let cases: [Case; 4] = [
        (
            || database("12.0.6024.0", 3, 120, 0),
            "",
            "version 12.0.6024.0",
        ),
        (
            || database("16.0.1000.6", 3, 110, 0),
            "",
            "compatibility level 110",
        ),
        (
            || database("16.0.1000.6", 3, 160, 2),
            "",
            "DELAYED_DURABILITY is FORCED",
        ),
        (|| None, "", "Login failed for user 'sa'. [18456]"),
    ];
    for (answer, parameters, word) in cases {
        let error = open(answer, parameters).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(!words(&error).contains("p@ss"), "{error}");
    }
    let forced = || database("16.0.1000.6", 3, 160, 2);
    open(forced, "delayed_durability=accept").await.unwrap();
}
