use super::*;
use crate::table::Column;
use walproto::Oid;

fn table(schema: &str, name: &str, columns: &[(&str, u32)], key: &[usize]) -> Table {
    let mut tables = [Table {
        oid: Oid(1),
        schema: schema.to_owned(),
        name: name.to_owned(),
        destination: String::new(),
        columns: columns
            .iter()
            .map(|(name, oid)| Column::new(*name, Oid(*oid), -1, Oid(*oid)))
            .collect(),
        key: key.to_vec(),
        identity: 'd',
        relfilenode: 1,
    }];
    SqlServer::new()
        .name_tables(&Names::default(), &mut tables)
        .unwrap();
    let [table] = tables;
    table
}

fn orders() -> Table {
    let columns = [
        ("id", 20),
        ("total", 1700),
        ("note", 25),
        ("paid", 16),
        ("at", 1184),
    ];
    let mut table = table("public", "orders", &columns, &[0]);
    // numeric(10, 2)
    table.columns[1].typmod = (10 << 16 | 2) + 4;
    table
}

fn target(table: &Table) -> Target {
    Target::new(table, Held::all(table, OnMisfit::Fail).unwrap())
}

#[test]
fn a_table_has_its_columns_and_its_key_and_nothing_else() {
    assert_eq!(
        SqlServer::new().create_table(&orders()),
        "CREATE TABLE [dbo].[orders] ([id] bigint NOT NULL, [total] decimal(10, 2) NULL, [note] nvarchar(max) NULL, \
         [paid] bit NULL, [at] datetimeoffset(6) NULL, PRIMARY KEY CLUSTERED ([id]))"
    );
    assert_eq!(
        SqlServer::new().create_table(&table("s", "t", &[("a", 25), ("b]", 23)], &[1, 0])),
        "CREATE TABLE [s].[t] ([a] nvarchar(848) COLLATE Latin1_General_100_BIN2 NOT NULL, [b]]] int NOT NULL, \
         PRIMARY KEY NONCLUSTERED ([b]]], [a]))"
    );
}

#[test]
fn names_are_kept_with_their_schema() {
    for (schema, name, destination, sql) in [
        ("public", "t", "dbo.t", "[dbo].[t]"),
        ("Sales", "Order", "Sales.Order", "[Sales].[Order]"),
        ("a.b", "c]d", "[a.b].[c]]d]", "[a.b].[c]]d]"),
        ("s", "[", "s.[[]", "[s].[[]"),
        ("s", "\"'; --", "s.[\"'; --]", "[s].[\"'; --]"),
    ] {
        let table = table(schema, name, &[("id", 23)], &[0]);
        assert_eq!(table.destination, destination);
        assert_eq!(qualified(&table.destination), sql);
        let schema = if schema == "public" { "dbo" } else { schema };
        assert_eq!(
            parts(&table.destination),
            (schema.to_owned(), name.to_owned())
        );
    }
    assert_eq!(parts("t"), ("dbo".to_owned(), "t".to_owned()));
}

#[test]
fn streamed_statements_are_plain() {
    let orders = target(&orders());
    let all = [
        orders.statement(&Shape::Insert, 2),
        orders.statement(&Shape::Update([1, 4].into()), 1),
        orders.statement(&Shape::Update([].into()), 1),
        orders.statement(&Shape::Delete, 1),
        orders.statement(&Shape::Truncate, 1),
        orders.select(),
        orders.fill(2, false),
    ];
    assert_eq!(
        all,
        [
            "INSERT INTO [dbo].[orders] ([id], [total], [note], [paid], [at]) VALUES \
             (CONVERT(bigint, @P1), CONVERT(decimal(10, 2), @P2), CONVERT(nvarchar(max), @P3), CONVERT(bit, @P4), \
             CONVERT(datetimeoffset(6), @P5, 121)), \
             (CONVERT(bigint, @P6), CONVERT(decimal(10, 2), @P7), CONVERT(nvarchar(max), @P8), CONVERT(bit, @P9), \
             CONVERT(datetimeoffset(6), @P10, 121))",
            "UPDATE [dbo].[orders] SET [total] = CONVERT(decimal(10, 2), @P1), \
             [at] = CONVERT(datetimeoffset(6), @P2, 121) WHERE [id] = CONVERT(bigint, @P3)",
            "UPDATE [dbo].[orders] SET [id] = [id] WHERE [id] = CONVERT(bigint, @P1)",
            "DELETE FROM [dbo].[orders] WHERE [id] = CONVERT(bigint, @P1)",
            "DELETE FROM [dbo].[orders]",
            "SELECT CONVERT(nvarchar(41), [id]), CONVERT(nvarchar(41), [total]), [note], CONVERT(nvarchar(41), [paid]), \
             CONVERT(nvarchar(41), [at], 121) FROM [dbo].[orders] WITH (TABLOCK)",
            "UPDATE [dbo].[orders] SET [note] = CONVERT(nvarchar(max), @P1)",
        ]
    );
}

#[test]
fn many_rows_go_through_a_table_of_the_same_types() {
    let made = target(&orders());
    let staged = made.staged(&Shape::Update([1, 2].into()), 7);
    assert_eq!(
        [&*staged.ready, &staged.filling(1), &staged.apply,],
        [
            "IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL \
             CREATE TABLE #_replicator_stage_7 ([c0] decimal(10, 2) NULL, \
             [c1] nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL, [c2] bigint NULL) \
             ELSE TRUNCATE TABLE #_replicator_stage_7",
            "INSERT INTO #_replicator_stage_7 VALUES \
             (CONVERT(decimal(10, 2), @P1), CONVERT(nvarchar(max), @P2), CONVERT(bigint, @P3))",
            "UPDATE t SET [total] = v.[c0], [note] = v.[c1] FROM [dbo].[orders] AS t \
             INNER JOIN #_replicator_stage_7 AS v ON t.[id] = v.[c2]",
        ]
    );
    assert_eq!(
        made.staged(&Shape::Insert, 1).apply,
        "INSERT INTO [dbo].[orders] ([id], [total], [note], [paid], [at]) \
         SELECT v.[c0], v.[c1], v.[c2], v.[c3], v.[c4] FROM #_replicator_stage_1 AS v"
    );
    // A column of the table's that has the name of one of ours.
    let pairs = target(&table("s", "pairs", &[("c0", 25), ("b", 1082)], &[0, 1]));
    assert_eq!(
        pairs.staged(&Shape::Update([].into()), 1).apply,
        "UPDATE t SET [c0] = t.[c0] FROM [s].[pairs] AS t INNER JOIN #_replicator_stage_1 AS v \
         ON t.[c0] = v.[c0] AND DATALENGTH(t.[c0]) = DATALENGTH(v.[c0]) AND t.[b] = v.[c1]"
    );
    assert_eq!(
        pairs.staged(&Shape::Delete, 1).apply,
        "DELETE t FROM [s].[pairs] AS t INNER JOIN #_replicator_stage_1 AS v \
         ON t.[c0] = v.[c0] AND DATALENGTH(t.[c0]) = DATALENGTH(v.[c0]) AND t.[b] = v.[c1]"
    );
}

#[test]
fn a_row_without_a_key_is_one_row_that_is_the_same_in_all_columns() {
    let log = target(&table(
        "audit",
        "Log",
        &[("at", 1114), ("what", 25), ("f", 701)],
        &[],
    ));
    assert_eq!(
        log.statement(&Shape::Delete, 1),
        "DELETE TOP (1) t FROM [audit].[Log] AS t WHERE EXISTS (\
         SELECT t.[at], t.[what] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[what]), CONVERT(binary(8), t.[f]) \
         INTERSECT SELECT CONVERT(datetime2(6), @P1, 121), \
         CONVERT(nvarchar(max), @P2) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P2)), \
         CONVERT(binary(8), CONVERT(float, @P3)))"
    );
    assert!(
        log.statement(&Shape::Update([1].into()), 1).starts_with(
            "UPDATE TOP (1) t SET [what] = CONVERT(nvarchar(max), @P1) FROM [audit].[Log] AS t WHERE EXISTS ("
        )
    );
    assert!(!log.is_staged(&Shape::Delete));
}

#[test]
fn a_statement_has_no_more_rows_and_parameters_than_a_request_takes() {
    let wide = |count: usize| {
        let columns: Vec<(String, u32)> = (0..count).map(|at| (format!("c{at}"), 23)).collect();
        let columns: Vec<(&str, u32)> = columns.iter().map(|(name, oid)| (&**name, *oid)).collect();
        target(&table("public", "t", &columns, &[0]))
    };
    for (columns, rows) in [(1, 1000), (2, 1000), (3, 699), (5, 419), (1024, 2)] {
        let target = wide(columns);
        assert_eq!(target.most_rows(&Shape::Insert), rows, "{columns} columns");
        assert_eq!(target.staged(&Shape::Insert, 1).most_rows(), rows);
        assert!(columns * rows <= 2098);
    }
    // Every column, by every column.
    let mut all = table("public", "t", &[("a", 23)], &[]);
    all.columns = (0..1024)
        .map(|at| Column::new(format!("c{at}"), Oid(23), -1, Oid(23)))
        .collect();
    assert!(target(&all).width(&Shape::Update((0..1024).collect())) <= target::MOST_PARAMETERS);
}

#[test]
fn what_cannot_be_at_the_destination_is_refused_by_name() {
    let refusal = |dialect: SqlServer, tables: &[Table]| {
        let mut tables = tables.to_vec();
        let error = dialect
            .name_tables(&Names::default(), &mut tables)
            .unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let dialect = SqlServer::new();
    let named = |name: &str| Table {
        name: name.to_owned(),
        ..orders()
    };
    let within = |schema: &str| Table {
        schema: schema.to_owned(),
        ..orders()
    };
    let with_column = |name: &str| {
        let mut table = orders();
        table.columns[1].name = name.to_owned();
        table
    };
    for (tables, words) in [
        (
            vec![named("_Replicator_x")],
            "names that begin with _replicator_",
        ),
        (vec![named("#t")], "temporary table"),
        (vec![within("SYS")], "the server's own"),
        (vec![named(&"\u{1F600}".repeat(65))], "has 130 UTF-16 units"),
        (vec![with_column(&"x".repeat(129))], "has 129 UTF-16 units"),
        (vec![with_column("ID")], "\"id\" and \"ID\""),
        (vec![with_column("id ")], "\"id\" and \"id \""),
        (vec![within("public"), within("dbo")], "both be dbo.orders"),
        (
            vec![named("twin"), named("Twin")],
            "upper and lower case are one",
        ),
    ] {
        let text = refusal(dialect, &tables);
        assert!(text.contains(words), "{text}");
    }
    let twins = [named("twin"), named("Twin")];
    dialect
        .folds(false)
        .name_tables(&Names::default(), &mut twins.clone())
        .unwrap();
    dialect
        .name_tables(&Names::default(), &mut [named(&"\u{1F600}".repeat(64))])
        .unwrap();
}

#[test]
fn a_row_that_does_not_fit_in_its_page_is_refused_by_name() {
    let wide = |count: usize, oid: u32| {
        let mut wide = orders();
        let column = |at| Column::new(format!("c{at}"), Oid(oid), -1, Oid(oid));
        wide.columns = (0..count).map(column).collect();
        SqlServer::new()
            .name_tables(&Names::default(), [&mut wide])
            .map_err(|error| error.to_string())
    };
    // 8 bytes each, a bit for each, and 8 of the row's own.
    assert_eq!(wide(991, 20), Ok(()));
    assert!(wide(992, 20).unwrap_err().contains("gives it 8060"));
    assert_eq!(wide(1024, 16), Ok(()));
    assert!(wide(1025, 16).unwrap_err().contains("has 1025 columns"));
    let long = wide(310, 25).unwrap_err();
    assert!(long.contains("26 for each of 309"), "{long}");
    assert!(wide(0, 25).unwrap_err().contains("no column"));
}

#[test]
fn names_that_another_make_does_not_know_are_refused() {
    let (closed, long) = ("a]b", "é".repeat(32));
    for (name, words) in [(closed, "has a \"]\""), (&long, "has 64 bytes")] {
        for table in [
            table("s", name, &[("id", 23)], &[0]),
            table("s", "t", &[(name, 23)], &[]),
        ] {
            let (schema, its) = parts(&table.destination);
            SqlServer::new().check(&table, &schema, &its).unwrap();
            let there = SqlServer::new().compatible(true);
            let error = there.check(&table, &schema, &its).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

#[test]
fn a_definition_is_changed_in_its_words() {
    let (table, words) = (orders(), SqlServer::new());
    assert_eq!(
        words.add(&table, 1),
        "ALTER TABLE [dbo].[orders] ADD [total] decimal(10, 2) NULL"
    );
    assert_eq!(
        words.retype(&table, 0).unwrap(),
        "ALTER TABLE [dbo].[orders] ALTER COLUMN [id] bigint NOT NULL"
    );
    let babelfish = words.compatible(true);
    assert_eq!(
        babelfish.retype(&table, 0).unwrap(),
        "ALTER TABLE [dbo].[orders] ALTER COLUMN [id] bigint"
    );
    assert_eq!(babelfish.add(&table, 1), words.add(&table, 1));
    assert_eq!(
        words.rename(&table, "it's", "new]"),
        "EXEC sp_rename N'[dbo].[orders].[it''s]', N'new]', N'COLUMN'"
    );
    assert_eq!(
        target(&table).fill(2, true),
        "UPDATE [dbo].[orders] SET [note] = NULL WHERE [note] IS NOT NULL"
    );
}
