//! Locks, deadlocks and lost sessions as a server really has them.

use std::thread;
use std::time::Duration;

use replicator::{Destination, Outcome, SqlServerDestination};
use walproto::Lsn;

use crate::Stage;
use crate::every_destination::{
    Ground, apply, insert, int, keyed, started, streaming, text, update,
};

#[tokio::test]
#[ignore = "needs a SQL Server: testdata/sqlserver runs it"]
async fn a_deadlock_victim_is_worth_another_try_and_nothing_of_it_is_in() {
    let ground = Stage::all().next().unwrap();
    let t = keyed();
    // The server looks for deadlocks every five seconds.
    let options = ground.options().wait(Duration::from_secs(30));
    let destination = SqlServerDestination::open(options).await.unwrap();
    let (mut destination, row) = started(destination, &[&t]).await;
    let rows = [1, 2].map(|id| insert(&t, &[int(id), text("a")]));
    let row = apply(&mut destination, &row, 200, rows.to_vec())
        .await
        .unwrap();
    destination
        .begin(&row, &row.advanced(Lsn(300)))
        .await
        .unwrap();
    destination
        .execute(vec![update(&t, &[(1, text("ours"))], &[int(1)])])
        .await
        .unwrap();
    // Somebody who is never the victim has the second row, and wants the first. A server of another make has no
    // priorities: there it is who waited first, as we do.
    let mut other = ground.connect();
    let (first, wait) = match ground.0.is_microsofts() {
        true => ("SET DEADLOCK_PRIORITY HIGH", "WAITFOR DELAY '00:00:02'"),
        false => ("SET NOCOUNT ON", "EXECUTE pg_sleep 2"),
    };
    let waits = thread::spawn(move || {
        other.batch(&format!(
            "{first}; BEGIN TRANSACTION; UPDATE t SET name = 'theirs' WHERE id = 2; {wait};
             UPDATE t SET name = 'theirs' WHERE id = 1; ROLLBACK TRANSACTION",
        ))
    });
    thread::sleep(Duration::from_millis(1500));
    let error = destination
        .execute(vec![update(&t, &[(1, text("ours"))], &[int(2)])])
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    assert!(error.to_string().contains("[1205]"), "{error}");
    waits.join().unwrap().unwrap();
    let both = [1, 2].map(|id| update(&t, &[(1, text("b"))], &[int(id)]));
    apply(&mut destination, &row, 300, both.to_vec())
        .await
        .unwrap();
    assert_eq!(ground.look("SELECT * FROM t ORDER BY id"), ["1|b", "2|b"]);
}

#[tokio::test]
#[ignore = "needs a SQL Server: testdata/sqlserver runs it"]
async fn a_holder_that_stands_still_in_a_batch_is_ended() {
    let ground = Stage::all().next().unwrap();
    let t = keyed();
    let (mut stopped, row) = streaming(&ground, &[&t]).await;
    stopped.begin(&row, &row.advanced(Lsn(200))).await.unwrap();
    stopped
        .execute(vec![insert(&t, &[int(1), text("a")])])
        .await
        .unwrap();
    let mut newcomer = ground.open().await;
    let raised = newcomer.raise_epoch("s", "process 2").await.unwrap();
    assert_eq!(raised.epoch, row.epoch + 1);
    let error = stopped.commit().await;
    assert!(!matches!(error, Ok(Outcome::Committed(_))), "{error:?}");
    let done = apply(
        &mut newcomer,
        &raised,
        200,
        vec![insert(&t, &[int(1), text("b")])],
    );
    done.await.unwrap();
    assert_eq!(ground.look("SELECT * FROM t"), ["1|b"]);
}

#[tokio::test]
#[ignore = "needs a SQL Server: testdata/sqlserver runs it"]
async fn a_session_that_was_killed_is_replaced() {
    let ground = Stage::all().next().unwrap();
    let t = keyed();
    let (mut destination, row) = streaming(&ground, &[&t]).await;
    let number = ground.look("SELECT session FROM _replicator_position");
    ground.meddle(&format!("KILL {}", number[0]));
    apply(
        &mut destination,
        &row,
        200,
        vec![insert(&t, &[int(1), text("a")])],
    )
    .await
    .unwrap();
    assert_eq!(ground.look("SELECT * FROM t"), ["1|a"]);
}

#[tokio::test]
#[ignore = "needs a SQL Server: testdata/sqlserver runs it"]
async fn a_database_that_may_lose_what_it_committed_is_refused() {
    let ground = Stage::all().next().unwrap();
    let set = "ALTER DATABASE CURRENT SET DELAYED_DURABILITY = FORCED";
    let is_set = ground.connect().batch(set);
    if !ground.0.is_microsofts() {
        is_set.expect_err("a server of another make has no such thing");
        return;
    }
    is_set.unwrap();
    let error = SqlServerDestination::open(ground.options())
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("DELAYED_DURABILITY"), "{error}");
}
