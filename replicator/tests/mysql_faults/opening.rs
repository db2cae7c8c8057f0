//! Servers that cannot be a destination, each with a sentence; who may write, and a server that knows its clients.

use testdata::{Certificate, Certificates, Wish};

use super::*;

/// Error and cause in one, and the exit code.
async fn refused(url: &str) -> (String, u8) {
    let error = MysqlDestination::open(options(url)).await.unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    (
        format!("{error}: {}", cause.unwrap_or_default()),
        error.exit_code(),
    )
}

#[tokio::test]
async fn what_cannot_be_a_destination_is_said_in_a_sentence() {
    let stage = stage();
    stage.meddle("CREATE USER u@'127.0.0.1' IDENTIFIED BY 'of its own'");
    let server = &stage.server;
    let url = stage.url();
    for (url, code, says) in [
        (server.url("nowhere"), 2, "nowhere"),
        (
            server.url_of("u", Some("secret"), &stage.database),
            2,
            "'u'",
        ),
        (server.url_of("nobody", Some("secret"), "d"), 2, "nobody"),
        (
            "mysql://u:secret@127.0.0.1:1/d".to_owned(),
            1,
            "127.0.0.1:1",
        ),
        (format!("{url}?ssl-mode=required"), 2, "SSL"),
        (format!("{url}?ssl-mode=perhaps"), 2, "perhaps"),
        (format!("{url}?unheard=of"), 2, "unheard"),
        (server.url(""), 2, "no database"),
    ] {
        let (all, got) = refused(&url).await;
        assert_eq!(got, code, "{url}: {all}");
        assert!(all.contains(says), "{url}: {all}");
        assert!(!all.contains("secret"), "{all}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_keep_our_promises_is_refused() {
    for (name, value, says) in [
        ("version", "5.7.44", "has version 5.7.44"),
        ("version", "10.5.9-MariaDB", "has version 10.5.9"),
        ("read_only", "1", "takes no changes"),
        ("innodb_read_only", "1", "takes no changes"),
        (
            "innodb_flush_log_at_trx_commit",
            "2",
            "innodb_flush_log_at_trx_commit is 2",
        ),
    ] {
        let mut stage = Stage::on(Arc::new(MariaDb::start()));
        let server = Arc::get_mut(&mut stage.server).unwrap();
        server.set(name, value);
        server.restart();
        let (all, code) = refused(&stage.url()).await;
        assert!(all.contains(says), "{name} = {value}: {all}");
        assert_eq!(code, 2, "{all}");
    }
}

#[tokio::test]
async fn a_user_without_rights_is_told_which_are_missing() {
    let stage = stage();
    let database = &stage.database;
    stage.meddle(&format!(
        "CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'p'; GRANT SELECT ON {database}.* TO reader@'127.0.0.1'"
    ));
    let url = stage.server.url_of("reader", Some("p"), database);
    let mut destination = MysqlDestination::open(options(&url)).await.unwrap();
    let error = destination.write_intent(&intent()).await.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.to_string().contains("denied"), "{error}");
    assert!(error.hint().unwrap().contains("CREATE"), "{error:?}");
    assert_eq!(stage.look("SHOW TABLES"), [""; 0]);
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate_where_that_is_asked_for() {
    let certificates = Certificates::new();
    let [ours, other] =
        ["ours", "other"].map(|name| certificates.own(name, &Wish::authority("/CN=authority")));
    let certificate = certificates.issued("server", &Wish::default(), &ours);
    let stage = Stage::on(Arc::new(MariaDb::builder().tls(&certificate).start()));
    stage.meddle(
        "CREATE USER copier@'127.0.0.1' IDENTIFIED BY 'of its own' REQUIRE SSL; GRANT ALL ON *.* TO copier@'127.0.0.1'",
    );
    let url = |password: &str, mode: &str, root: Option<&Certificate>| {
        let url = stage
            .server
            .url_of("copier", Some(password), &stage.database);
        let root = root.map_or_else(String::new, |root| {
            format!("&ssl-ca={}", root.file.display())
        });
        format!("{url}?ssl-mode={mode}{root}")
    };
    for (mode, root) in [
        ("verify_identity", Some(&ours)),
        ("verify_ca", Some(&ours)),
        ("required", None),
        ("preferred", None),
    ] {
        let options = options(&url("of its own", mode, root));
        let mut destination = MysqlDestination::open(options).await.unwrap();
        destination.write_intent(&intent()).await.unwrap();
        destination.forget("s").await.unwrap();
    }
    for (password, mode, root) in [
        ("of its own", "verify_identity", Some(&other)),
        ("of its own", "verify_ca", Some(&other)),
        // The server insists on TLS for this user.
        ("of its own", "disabled", None),
        ("guessed", "verify_identity", Some(&ours)),
    ] {
        let (all, code) = refused(&url(password, mode, root)).await;
        assert_eq!(code, 2, "{mode}: {all}");
    }
}

/// InnoDB's own file is full, and later it may be larger.
#[tokio::test]
async fn a_full_disk_is_worth_another_try() {
    const SIZE: usize = 1 << 20;
    let file = |most: &str| format!("ibdata1:12M:autoextend:max:{most}");
    let server = MariaDb::builder()
        .setting("innodb_file_per_table", "0")
        .setting("innodb_data_file_path", file("24M"))
        .start();
    let mut stage = Stage::on(Arc::new(server));
    let t = keyed();
    let (mut destination, row) = streaming(&stage, &[&t]).await;
    stage.meddle("CREATE TABLE filler (b longblob)");
    let mut session = stage.session();
    for size in [1 << 20, 1 << 16, 1 << 14] {
        let fill = format!("INSERT INTO filler VALUES (repeat('x', {size}))");
        while session.batch(&fill).is_ok() {}
    }
    let batch = || vec![insert(&t, &[int(1), text(&"x".repeat(SIZE))])];
    let error = apply(&mut destination, &row, 200, batch())
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    assert!(error.hint().unwrap().contains("room"), "{error:?}");
    assert_eq!(stage.look("SELECT count(*) FROM t"), ["0"]);
    let server = Arc::get_mut(&mut stage.server).unwrap();
    server.set("innodb_data_file_path", file("64M"));
    server.restart();
    let row = apply(&mut destination, &row, 200, batch()).await.unwrap();
    assert_eq!(row.lsn, Lsn(200));
    assert_eq!(
        stage.look("SELECT id, length(name) FROM t"),
        [format!("1|{SIZE}")]
    );
}
