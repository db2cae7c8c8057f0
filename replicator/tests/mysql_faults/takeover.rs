//! Who may write, and what becomes of who may not any more.

use std::time::Instant;

use testdata::Proxy;

use super::*;

#[tokio::test]
async fn a_holder_that_stands_still_in_a_batch_is_ended() {
    let stage = stage();
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
    assert_eq!((row.lsn, row.epoch), (old.lsn, old.epoch + 1));
    let batch = vec![insert(&t, &[int(1), text("new")])];
    apply(&mut newcomer, &row, 200, batch).await.unwrap();
    match stopped.commit().await {
        Err(_) | Ok(Outcome::NotCommitted(_)) => {}
        Ok(Outcome::Committed(row)) => panic!("committed what was ended: {row:?}"),
    }
    assert_eq!(stage.look("SELECT * FROM t"), ["1|new"]);
}

#[tokio::test]
async fn a_lock_of_somebody_elses_is_worth_another_try() {
    let stage = stage();
    let t = keyed();
    let (mut destination, row) = streaming(&stage, &[&t]).await;
    let batch = vec![insert(&t, &[int(1), text("a")])];
    let row = apply(&mut destination, &row, 200, batch).await.unwrap();
    let mut other = stage.session();
    other
        .batch("START TRANSACTION; SELECT * FROM t FOR UPDATE")
        .unwrap();
    let batch = || vec![delete(&t, &[int(1)])];
    let error = apply(&mut destination, &row, 300, batch())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("1205"), "{error}");
    assert_eq!(error.exit_code(), 1);
    other.batch("ROLLBACK").unwrap();
    apply(&mut destination, &row, 300, batch()).await.unwrap();
}

#[tokio::test]
async fn a_session_that_was_lost_is_opened_again_and_its_batch_is_gone() {
    let stage = stage();
    let t = keyed();
    let (mut destination, row) = streaming(&stage, &[&t]).await;
    let cut = || {
        let sessions = stage.sessions();
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        stage.meddle(&format!("KILL CONNECTION {}", sessions[0]));
        while stage.sessions() == sessions {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let batch = || vec![insert(&t, &[int(1), text("a")])];
    destination
        .begin(&row, &row.advanced(Lsn(200)))
        .await
        .unwrap();
    destination.execute(batch()).await.unwrap();
    cut();
    let Outcome::NotCommitted(error) = destination.commit().await.unwrap() else {
        panic!("a session that was ended has committed")
    };
    assert_eq!(error.exit_code(), 1);
    assert_eq!(stage.look("SELECT count(*) FROM t"), ["0"]);
    let row = apply(&mut destination, &row, 200, batch()).await.unwrap();

    // Between two batches nobody needs to know.
    cut();
    let batch = vec![insert(&t, &[int(2), text("b")])];
    apply(&mut destination, &row, 300, batch).await.unwrap();
    assert_eq!(stage.look("SELECT * FROM t ORDER BY id"), ["1|a", "2|b"]);
}

/// The connection is lost while the server commits: whatever became of it, the destination knows.
#[tokio::test]
async fn a_commit_without_an_answer_is_looked_up() {
    let stage = Stage::on(Arc::new(MariaDb::start()));
    let proxy = Proxy::to(stage.server.port());
    let url = format!("mysql://root@127.0.0.1:{}/{}", proxy.port(), stage.database);
    let t = keyed();
    let destination = MysqlDestination::open(options(&url)).await.unwrap();
    let (mut destination, row) = started(destination, &[&t]).await;
    let next = row.advanced(Lsn(200));
    let batch = || vec![insert(&t, &[int(1), text("a")])];
    destination.begin(&row, &next).await.unwrap();
    destination.execute(batch()).await.unwrap();
    // Lets nobody commit.
    let mut other = stage.session();
    other.batch("FLUSH TABLES WITH READ LOCK").unwrap();
    let committing = tokio::spawn(async move { (destination.commit().await, destination) });
    let waiting =
        "SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for backup lock%'";
    while stage.look(waiting).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(300)).await;
    other.batch("UNLOCK TABLES").unwrap();
    let (outcome, mut destination) = committing.await.unwrap();
    let row = match outcome {
        Ok(Outcome::Committed(now)) => {
            assert_eq!(now, next);
            assert_eq!(stage.look("SELECT * FROM t"), ["1|a"]);
            now
        }
        Ok(Outcome::NotCommitted(_)) => {
            assert_eq!(stage.look("SELECT count(*) FROM t"), ["0"]);
            apply(&mut destination, &row, 200, batch()).await.unwrap()
        }
        // It says that it does not know, and the position tells later.
        Err(error) => {
            assert_eq!(error.exit_code(), 1, "{error}");
            let now = destination.position("s").await.unwrap().unwrap();
            match now.lsn {
                Lsn(200) => now,
                _ => apply(&mut destination, &row, 200, batch()).await.unwrap(),
            }
        }
    };
    let batch = vec![insert(&t, &[int(2), text("b")])];
    apply(&mut destination, &row, 300, batch).await.unwrap();
    assert_eq!(stage.look("SELECT * FROM t ORDER BY id"), ["1|a", "2|b"]);
}
