//! Servers that are refused, sessions that are lost, and who may write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use replicator::{Destination, MysqlDestination, MysqlOptions, Outcome};
use testdata::{MariaDb, Proxy};
use walproto::Lsn;

use crate::Stage;
use crate::every_destination::{
    Ground, apply, chunk, insert, int, keyed, keyless, streaming, text,
};

async fn refusal(url: String) -> String {
    let error = MysqlDestination::open(MysqlOptions::new(url))
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.hint().is_some(), "{error}");
    let text = error.to_string();
    assert!(!text.contains("secret"), "{text}");
    text
}

#[tokio::test]
async fn a_server_that_would_lose_what_it_reported_is_refused() {
    for (setting, value, words) in [
        (
            "innodb_flush_log_at_trx_commit",
            "2",
            "innodb_flush_log_at_trx_commit is 2",
        ),
        ("read_only", "1", "takes no changes"),
    ] {
        let server = MariaDb::builder().setting(setting, value).start();
        let text = refusal(server.url("mysql")).await;
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_one_sentence() {
    let stage = Stage::new();
    stage.meddle("CREATE USER IF NOT EXISTS known@127.0.0.1 IDENTIFIED BY 'secret'");
    let server = &stage.server;
    let text = refusal(server.url("nowhere")).await;
    assert!(text.contains("nowhere"), "{text}");
    let text = refusal(server.url_of("known", Some("not secret"), &stage.database)).await;
    assert!(text.contains("known"), "{text}");
    let text = refusal(server.url_of("known", Some("secret"), &stage.database)).await;
    assert!(text.contains("known"), "{text}");
    let text = refusal(format!("{}?sslmode=require", server.url(&stage.database))).await;
    assert!(text.contains("could not connect"), "{text}");
}

#[tokio::test]
async fn a_holder_that_stands_still_in_a_batch_is_ended() {
    let stage = Stage::new();
    let t = keyed();
    let (mut stopped, old) = streaming(&stage, &[&t]).await;
    stopped.begin(&old, &old.advanced(Lsn(200))).await.unwrap();
    let batch = vec![insert(&t, &[int(1), text("old")])];
    stopped.execute(batch).await.unwrap();
    let start = Instant::now();
    let mut newcomer = stage.open().await;
    let row = newcomer.raise_epoch("s", "newcomer").await.unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "it was waited for instead"
    );
    let batch = vec![insert(&t, &[int(2), text("new")])];
    apply(&mut newcomer, &row, 0x110, batch).await.unwrap();
    // What became of it is read over another session.
    match stopped.commit().await {
        Ok(Outcome::Committed(row)) => panic!("it is at {}", row.lsn),
        Ok(Outcome::NotCommitted(_)) => {}
        Err(error) => assert!(error.to_string().contains("took over"), "{error}"),
    }
    assert_eq!(stage.look("SELECT * FROM t"), ["2|new"]);
}

#[tokio::test]
async fn a_session_that_the_server_ended_is_opened_again() {
    let stage = Stage::new();
    let t = keyed();
    let (mut destination, mut row) = streaming(&stage, &[&t]).await;
    for id in 1..4 {
        let connection = stage.look("SELECT connection FROM _replicator_position");
        stage.meddle(&format!("KILL CONNECTION {}", connection[0]));
        let batch = vec![insert(&t, &[int(id), text("a")])];
        row = apply(&mut destination, &row, 0x200 + id as u64, batch)
            .await
            .unwrap();
    }
    assert_eq!(stage.look("SELECT count(*) FROM t"), ["3"]);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_looked_up() {
    let stage = Stage::on(Arc::new(MariaDb::start()));
    let t = keyed();
    let (mut destination, row) = streaming(&stage, &[&t]).await;
    destination
        .begin(&row, &row.advanced(Lsn(0x110)))
        .await
        .unwrap();
    let batch = vec![insert(&t, &[int(1), text("a")])];
    destination.execute(batch).await.unwrap();
    let sql = format!(
        "SELECT id FROM information_schema.processlist WHERE db = '{}' AND id <> CONNECTION_ID()",
        stage.database
    );
    let sessions = stage.look(&sql);
    assert_eq!(sessions.len(), 1);
    stage.meddle(&format!("KILL CONNECTION {}", sessions[0]));
    match destination.commit().await.unwrap() {
        Outcome::NotCommitted(error) => assert_eq!(error.exit_code(), 1, "{error}"),
        Outcome::Committed(row) => panic!("it is at {}", row.lsn),
    }
    assert_eq!(stage.look("SELECT count(*) FROM t"), ["0"]);
    let batch = vec![insert(&t, &[int(1), text("a")])];
    apply(&mut destination, &row, 0x110, batch).await.unwrap();
}

#[tokio::test]
async fn a_deadlock_and_a_lock_are_worth_another_try() {
    let stage = Stage::new();
    let t = keyed();
    let (mut destination, row) = streaming(&stage, &[&t]).await;
    let batch = vec![insert(&t, &[int(1), text("a")])];
    let row = apply(&mut destination, &row, 0x110, batch).await.unwrap();
    let mut other = stage.connect();
    other.batch("START TRANSACTION").unwrap();
    other
        .batch("UPDATE t SET name = 'theirs' WHERE id = 1")
        .unwrap();
    let batch = vec![crate::every_destination::delete(&t, &[int(1)])];
    let error = apply(&mut destination, &row, 0x120, batch.clone())
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    other.batch("ROLLBACK").unwrap();
    apply(&mut destination, &row, 0x120, batch).await.unwrap();
    assert_eq!(stage.look("SELECT count(*) FROM t"), ["0"]);
}

/// The commit has happened, and nobody hears of it.
#[tokio::test]
async fn a_chunk_whose_commit_has_no_answer_is_in_once_when_it_is_handed_in_again() {
    let stage = Stage::on(Arc::new(MariaDb::start()));
    let log = keyless();
    let proxy = Proxy::to(stage.server.port());
    let (mut main, row) = streaming(&stage, &[&log]).await;
    main.begin_copy(&row, &log, Lsn(100)).await.unwrap();
    let url = stage.server.url(&stage.database);
    let (there, here) = (stage.server.port().to_string(), proxy.port().to_string());
    let options = MysqlOptions::new(url.replace(&there, &here)).wait(Duration::from_secs(60));
    let mut copier = MysqlDestination::open(options).await.unwrap();
    let mut gate = stage.connect();
    // Rows are taken from now on, and no commit is.
    for step in ["START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"] {
        gate.batch(&format!("BACKUP STAGE {step}")).unwrap();
    }
    let (held, only) = (row.clone(), chunk(&log, 0, 1, &["1\ta", "2\tb"]));
    let again = only.clone();
    let copying = tokio::spawn(async move {
        let done = copier.copy(&held, only).await;
        (copier, done)
    });
    let waits = format!(
        "SELECT count(*) FROM information_schema.processlist WHERE db = '{}' AND info LIKE 'COMMIT%'",
        stage.database
    );
    while stage.look(&waits) != ["1"] {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.freeze();
    gate.batch("BACKUP STAGE END").unwrap();
    while stage.look("SELECT count(*) FROM log") != ["2"] {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.cut();
    proxy.thaw();
    let (mut copier, done) = copying.await.unwrap();
    let error = done.unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    copier.copy(&row, again).await.unwrap();
    let rows = stage.look("SELECT * FROM log ORDER BY at");
    assert_eq!(rows, ["1|a", "2|b"]);
}
