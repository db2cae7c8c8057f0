//! Who may write, and what becomes of who may not any more.

use std::time::Instant;

use testdata::{Certificate, Certificates, Proxy, Wish};

use super::*;

#[tokio::test]
async fn a_holder_that_stands_still_in_a_batch_is_ended() {
    for stage in stages() {
        let t = keyed();
        let (mut stopped, old) = streaming(&stage, &[&t]).await;
        stopped.begin(&old, &old.advanced(Lsn(200))).await.unwrap();
        stopped
            .execute(vec![insert(&t, &[int(1), text("old")])])
            .await
            .unwrap();
        let start = Instant::now();
        let mut newcomer = open(&stage).await;
        let row = newcomer.raise_epoch("s", "newcomer").await.unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "it was waited for instead"
        );
        assert_eq!((row.lsn, row.epoch), (old.lsn, old.epoch + 1));
        let batch = vec![insert(&t, &[int(1), text("new")])];
        apply(&mut newcomer, &row, 200, batch).await.unwrap();
        assert!(stopped.commit().await.is_err());
        assert_eq!(look(&stage, "SELECT * FROM t"), ["1|new"]);
    }
}

#[tokio::test]
async fn a_lock_of_somebody_elses_is_worth_another_try() {
    for stage in stages() {
        let t = keyed();
        let (mut destination, row) = streaming(&stage, &[&t]).await;
        let mut other = common::connect(&stage.server, "postgres");
        other.batch("BEGIN; LOCK TABLE t").unwrap();
        let batch = || vec![insert(&t, &[int(1), text("a")])];
        let error = apply(&mut destination, &row, 200, batch())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("55P03"), "{error}");
        assert_eq!(error.exit_code(), 1);
        other.batch("ROLLBACK").unwrap();
        apply(&mut destination, &row, 200, batch()).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_that_was_lost_is_opened_again_and_its_batch_is_gone() {
    for stage in stages() {
        let t = keyed();
        let (mut destination, row) = streaming(&stage, &[&t]).await;
        let cut = "SELECT pg_terminate_backend(backend, 5000) FROM _replicator_position";
        destination
            .begin(&row, &row.advanced(Lsn(200)))
            .await
            .unwrap();
        destination
            .execute(vec![insert(&t, &[int(1), text("a")])])
            .await
            .unwrap();
        assert_eq!(look(&stage, cut), ["t"]);
        let Outcome::NotCommitted(error) = destination.commit().await.unwrap() else {
            panic!("a session that was ended has committed")
        };
        assert_eq!(error.exit_code(), 1);
        assert_eq!(look(&stage, "SELECT count(*) FROM t"), ["0"]);
        let batch = vec![insert(&t, &[int(1), text("a")])];
        let row = apply(&mut destination, &row, 200, batch).await.unwrap();

        // Between two batches nobody needs to know.
        assert_eq!(look(&stage, cut), ["t"]);
        let batch = vec![insert(&t, &[int(2), text("b")])];
        apply(&mut destination, &row, 300, batch).await.unwrap();
        assert_eq!(look(&stage, "SELECT * FROM t ORDER BY id"), ["1|a", "2|b"]);
    }
}

/// The answer to a commit is lost, and it has happened all the same.
#[tokio::test]
async fn a_commit_without_an_answer_is_looked_up() {
    for stage in stages() {
        let t = keyed();
        meddle(
            &stage,
            "CREATE TABLE t (id int PRIMARY KEY, name text);
             CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
               $$BEGIN PERFORM pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid()); RETURN NULL; END$$",
        );
        let mut destination = open(&stage).await;
        let row = destination.write_intent(&intent()).await.unwrap();
        destination
            .create_table("s", &t, Existing::Accept)
            .await
            .unwrap();
        let row = destination.activate(&row).await.unwrap();
        // A deferred trigger runs within COMMIT: this one ends the session there, before anything is durable.
        meddle(
            &stage,
            "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
               EXECUTE FUNCTION wait()",
        );
        let batch = || vec![insert(&t, &[int(1), text("a")])];
        let error = apply(&mut destination, &row, 200, batch())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("could not commit"), "{error}");
        assert_eq!(destination.position("s").await.unwrap(), Some(row.clone()));
        meddle(&stage, "DROP TRIGGER wait ON t");
        apply(&mut destination, &row, 200, batch()).await.unwrap();
        assert_eq!(look(&stage, "SELECT * FROM t"), ["1|a"]);
    }
}

#[tokio::test]
async fn what_is_written_is_marked_as_replicated() {
    for stage in stages() {
        let t = keyed();
        let (mut destination, row) = streaming(&stage, &[&t]).await;
        let slot = "SELECT 1 FROM pg_create_logical_replication_slot('watch', 'test_decoding')";
        let watched = |only_local: &str| {
            look(
                &stage,
                &format!(
                    "SELECT data FROM pg_logical_slot_peek_changes('watch', NULL, NULL, 'only-local', '{only_local}') WHERE data LIKE '%public.t:%'"
                ),
            )
        };
        look(&stage, slot);
        apply(
            &mut destination,
            &row,
            200,
            vec![insert(&t, &[int(1), text("a")])],
        )
        .await
        .unwrap();
        assert_eq!(watched("off").len(), 1);
        assert_eq!(watched("on"), [""; 0]);
        assert_eq!(
            look(&stage, "SELECT roname FROM pg_replication_origin"),
            ["replicator_s"]
        );
        destination.begin_copy(&row, &t, Lsn(300)).await.unwrap();
        let mut another = destination.another().await.unwrap().unwrap();
        let mut chunk = replicator::Chunk::new(Arc::clone(&t), Lsn(300), 0, 1);
        chunk.push(b"2\tb\n");
        another.copy(&row, chunk).await.unwrap();
        assert_eq!(look(&stage, "SELECT * FROM t"), ["2|b"]);
        assert_eq!(watched("on"), [""; 0]);
        another.close().await.unwrap();
        assert_eq!(
            look(&stage, "SELECT roname FROM pg_replication_origin"),
            ["replicator_s"]
        );
        destination.forget("s").await.unwrap();
        assert_eq!(
            look(&stage, "SELECT roname FROM pg_replication_origin"),
            [""; 0]
        );
    }
}

#[tokio::test]
async fn a_role_that_may_not_mark_writes_all_the_same() {
    for stage in stages() {
        meddle(
            &stage,
            "CREATE ROLE plain LOGIN; GRANT CREATE ON SCHEMA public TO plain",
        );
        let url = stage
            .server
            .url("postgres")
            .replacen("postgres@", "plain@", 1);
        let mut destination = PostgresDestination::open(PostgresOptions::new(url, "s"))
            .await
            .unwrap();
        let t = keyed();
        let row = destination.write_intent(&intent()).await.unwrap();
        destination
            .create_table("s", &t, Existing::Refuse)
            .await
            .unwrap();
        let row = destination.activate(&row).await.unwrap();
        destination.begin_copy(&row, &t, Lsn(100)).await.unwrap();
        let mut chunk = replicator::Chunk::new(Arc::clone(&t), Lsn(100), 0, 1);
        chunk.push(b"1\ta\n");
        destination.copy(&row, chunk).await.unwrap();
        apply(&mut destination, &row, 200, vec![delete(&t, &[int(1)])])
            .await
            .unwrap();
        assert_eq!(
            look(&stage, "SELECT roname FROM pg_replication_origin"),
            [""; 0]
        );
    }
}

#[tokio::test]
async fn what_cannot_be_a_destination_is_said_in_a_sentence() {
    let stage = stages().last().unwrap();
    let url = stage.server.url("postgres");
    for (url, code, says) in [
        (stage.server.url("nowhere"), 2, "nowhere"),
        (url.replacen("postgres@", "nobody:secret@", 1), 2, "nobody"),
        (
            "postgres://u:secret@127.0.0.1:1/d".to_owned(),
            1,
            "127.0.0.1:1",
        ),
        (format!("{url}?sslmode=require"), 2, "TLS"),
        (
            format!("{url}?options=-c%20default_transaction_read_only%3Don"),
            2,
            "takes no changes",
        ),
    ] {
        let error = PostgresDestination::open(PostgresOptions::new(&url, "s"))
            .await
            .unwrap_err();
        let cause = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        let all = format!("{error}: {cause}");
        assert_eq!(error.exit_code(), code, "{url}: {all}");
        assert!(all.contains(says), "{url}: {all}");
        assert!(!all.contains("secret"), "{all}");
    }
}

/// The connection is lost while the server commits, which it has done all the same.
#[tokio::test]
async fn a_commit_without_an_answer_that_happened_is_not_done_again() {
    for stage in stages() {
        let proxy = Proxy::to(stage.server.port());
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port());
        let t = keyed();
        let (destination, row) = streaming(&stage, &[&t]).await;
        destination.close().await.unwrap();
        let options = PostgresOptions::new(url, "s").wait(Duration::from_secs(1));
        let mut destination = PostgresDestination::open(options).await.unwrap();
        let next = row.advanced(Lsn(200));
        destination.begin(&row, &next).await.unwrap();
        destination
            .execute(vec![insert(&t, &[int(1), text("a")])])
            .await
            .unwrap();
        // Written, and visible once the wait for a standby that never comes is given up.
        stage.server.set("synchronous_standby_names", "nobody");
        stage.server.reload();
        while look(&stage, "SHOW synchronous_standby_names") != ["nobody"] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let committing = tokio::spawn(async move { (destination.commit().await, destination) });
        let waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        while look(&stage, waiting).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(look(&stage, "SELECT count(*) FROM t"), ["0"]);
        proxy.cut();
        let (outcome, destination) = committing.await.unwrap();
        let Outcome::Committed(row) = outcome.unwrap() else {
            panic!("what was committed is taken for lost")
        };
        assert_eq!(row, next);
        assert_eq!(look(&stage, "SELECT * FROM t"), ["1|a"]);
        drop(destination);
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate_where_that_is_asked_for() {
    let certificates = Certificates::new();
    let [ours, other] =
        ["ours", "other"].map(|name| certificates.own(name, &Wish::authority("/CN=authority")));
    let certificate = certificates.issued("server", &Wish::default(), &ours);
    let server = common::quiet(Version::V18)
        .tls(&certificate)
        .allow("hostssl all copier 127.0.0.1/32 scram-sha-256")
        .allow("hostnossl all copier 127.0.0.1/32 reject")
        .start();
    common::connect(&server, "postgres")
        .batch(
            "CREATE ROLE copier LOGIN PASSWORD 'of its own'; GRANT ALL ON SCHEMA public TO copier",
        )
        .unwrap();
    let open = async |password: &str, root: &Certificate| {
        let url = format!(
            "postgres://copier:{password}@localhost:{}/postgres?sslmode=verify-full&sslrootcert={}",
            server.port(),
            root.file.display()
        );
        PostgresDestination::open(PostgresOptions::new(url, "s")).await
    };
    let mut destination = open("of%20its%20own", &ours).await.unwrap();
    destination.write_intent(&intent()).await.unwrap();
    let error = open("of%20its%20own", &other).await.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error:?}");
    let error = open("guessed", &ours).await.unwrap_err();
    assert!(error.to_string().contains("28P01"), "{error:?}");
    assert_eq!(error.exit_code(), 2);
}

/// The server takes a session in the middle of COPY for one at work, however long nothing comes.
#[tokio::test]
async fn a_session_that_stands_still_in_a_chunk_is_ended() {
    for stage in stages() {
        let log = keyless();
        let proxy = Proxy::to(stage.server.port());
        let (mut main, row) = streaming(&stage, &[&log]).await;
        main.begin_copy(&row, &log, Lsn(100)).await.unwrap();
        let mut stopped = open_through(&stage, &proxy).await;
        proxy.throttle(Some(200_000));
        let lines: Vec<String> = (0..20_000).map(|at| format!("{at}\t{at:0100}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let big = chunk(&log, 1, 1, &lines);
        let held = row.clone();
        let copying = tokio::spawn(async move { stopped.copy(&held, big).await });
        let copies =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'";
        while look(&stage, copies) != ["1"] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        proxy.freeze();
        let start = Instant::now();
        let mut newcomer = open(&stage).await;
        let row = newcomer.raise_epoch("s", "newcomer").await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(15), "waited for");
        newcomer.begin_copy(&row, &log, Lsn(100)).await.unwrap();
        newcomer
            .copy(&row, chunk(&log, 0, 1, &["1\tnew"]))
            .await
            .unwrap();
        proxy.cut();
        assert!(copying.await.unwrap().is_err());
        assert_eq!(look(&stage, "SELECT * FROM log"), ["1|new"]);
    }
}

async fn open_through(stage: &Stage, proxy: &Proxy) -> PostgresDestination {
    let url = stage.server.url("postgres");
    let (there, here) = (stage.server.port().to_string(), proxy.port().to_string());
    let options = PostgresOptions::new(url.replace(&there, &here), "s");
    PostgresDestination::open(options.wait(Duration::from_secs(1)))
        .await
        .unwrap()
}

/// The commit has happened, and nobody hears of it.
#[tokio::test]
async fn a_chunk_whose_commit_has_no_answer_is_in_once_when_it_is_handed_in_again() {
    for stage in stages() {
        let log = keyless();
        let proxy = Proxy::to(stage.server.port());
        let (mut main, row) = streaming(&stage, &[&log]).await;
        main.begin_copy(&row, &log, Lsn(100)).await.unwrap();
        // A deferred trigger runs within COMMIT.
        meddle(
            &stage,
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
               $$BEGIN PERFORM pg_catalog.pg_advisory_xact_lock_shared(7); RETURN NULL; END$$;
             CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
               EXECUTE FUNCTION wait()",
        );
        let url = stage.server.url("postgres");
        let (there, here) = (stage.server.port().to_string(), proxy.port().to_string());
        let options = PostgresOptions::new(url.replace(&there, &here), "s");
        let mut copier = PostgresDestination::open(options.wait(Duration::from_secs(60)))
            .await
            .unwrap();
        let mut gate = common::connect(&stage.server, "postgres");
        gate.batch("SELECT pg_advisory_lock(7)").unwrap();
        let (held, only) = (row.clone(), chunk(&log, 0, 1, &["1\ta", "2\tb"]));
        let again = only.clone();
        let copying = tokio::spawn(async move {
            let done = copier.copy(&held, only).await;
            (copier, done)
        });
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 7";
        while look(&stage, waits) != ["1"] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        proxy.freeze();
        gate.batch("SELECT pg_advisory_unlock(7)").unwrap();
        while look(&stage, "SELECT count(*) FROM log") != ["2"] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        proxy.cut();
        proxy.thaw();
        let (mut copier, done) = copying.await.unwrap();
        let error = done.unwrap_err();
        assert_eq!(error.exit_code(), 1, "{error}");
        copier.copy(&row, again).await.unwrap();
        let rows = look(&stage, "SELECT * FROM log ORDER BY at");
        assert_eq!(rows, ["1|a", "2|b"]);
    }
}
