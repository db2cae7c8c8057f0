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
    Mysql::mariadb()
        .name_tables(&Names::default(), &mut tables)
        .unwrap();
    let [table] = tables;
    table
}

fn orders() -> Table {
    let mut table = table(
        "public",
        "orders",
        &[
            ("id", 20),
            ("total", 1700),
            ("note", 25),
            ("paid", 16),
            ("at", 1184),
        ],
        &[0],
    );
    // numeric(10, 2)
    table.columns[1].typmod = (10 << 16 | 2) + 4;
    table
}

fn target(table: &Table) -> Target {
    Target::new(
        table,
        Held::all(table, OnMisfit::Fail).unwrap(),
        Flavour::MariaDb,
    )
}

fn refusal(dialect: Mysql, tables: &[Table]) -> String {
    let mut tables = tables.to_vec();
    let error = dialect
        .name_tables(&Names::default(), &mut tables)
        .unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
fn a_table_has_its_columns_and_its_key_and_nothing_else() {
    assert_eq!(
        Mysql::mariadb().create_table(&orders()),
        "CREATE TABLE `orders` (`id` BIGINT NOT NULL, `total` DECIMAL(10, 2), \
         `note` LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin, `paid` BOOLEAN, `at` DATETIME(6), \
         PRIMARY KEY (`id`)) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    );
    assert_eq!(
        Mysql::new().create_table(&table("s", "t", &[("a", 25), ("b`", 23)], &[1, 0])),
        "CREATE TABLE `s__t` (`a` VARCHAR(767) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL, `b``` INT NOT NULL, \
         PRIMARY KEY (`b```, `a`)) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin"
    );
}

#[test]
fn streamed_statements_are_plain() {
    let orders = target(&orders());
    let all = [
        orders.statement(&Shape::Insert, 2),
        orders.statement(&Shape::Update([1, 4].into()), 1),
        orders.statement(&Shape::Update([].into()), 1),
        orders.statement(&Shape::Delete, 1),
        orders.statement(&Shape::Delete, 3),
        orders.statement(&Shape::Truncate, 1),
    ];
    assert_eq!(
        all,
        [
            "INSERT INTO `orders` (`id`, `total`, `note`, `paid`, `at`) VALUES (?, ?, ?, ?, ?), (?, ?, ?, ?, ?)",
            "UPDATE `orders` SET `total` = ?, `at` = ? WHERE `id` = ?",
            "UPDATE `orders` SET `id` = `id` WHERE `id` = ?",
            "DELETE FROM `orders` WHERE `id` = ?",
            "DELETE FROM `orders` WHERE `id` IN (?, ?, ?)",
            "DELETE FROM `orders`",
        ]
    );
    // An upsert would hide a row that is applied twice.
    for word in ["DUPLICATE", "REPLACE", "IGNORE", "TRUNCATE"] {
        assert!(all.iter().all(|sql| !sql.contains(word)));
    }
}

#[test]
fn many_updates_go_through_a_table_of_the_same_types() {
    let staged = target(&orders()).staged(&Shape::Update([1, 4].into()), 7);
    assert_eq!(
        staged.create,
        "CREATE TEMPORARY TABLE `_replicator_stage_7` (c0 DECIMAL(10, 2), c1 DATETIME(6), c2 BIGINT) \
         ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    );
    assert_eq!(
        staged.filling(2),
        "INSERT INTO `_replicator_stage_7` VALUES (?, ?, ?), (?, ?, ?)"
    );
    assert_eq!(
        staged.apply,
        "UPDATE `_replicator_stage_7` AS v STRAIGHT_JOIN `orders` AS t ON t.`id` = v.c2 SET t.`total` = v.c0, t.`at` = v.c1"
    );
    let pairs = target(&table(
        "public",
        "pairs",
        &[("a", 23), ("b", 1082)],
        &[1, 0],
    ));
    assert_eq!(
        pairs.staged(&Shape::Delete, 1).apply,
        "DELETE t FROM `_replicator_stage_1` AS v STRAIGHT_JOIN `pairs` AS t ON t.`b` = v.c0 AND t.`a` = v.c1"
    );
    assert_eq!(
        pairs.statement(&Shape::Delete, 1),
        "DELETE FROM `pairs` WHERE `b` = CAST(? AS DATE) AND `a` = ?"
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
        "DELETE FROM `audit__Log` WHERE `at` <=> CAST(? AS DATETIME(6)) AND `what` <=> ? AND CAST(`f` AS CHAR) <=> CAST(? AS CHAR) LIMIT 1"
    );
    assert!(
        log.statement(&Shape::Update([1].into()), 1)
            .starts_with("UPDATE `audit__Log` SET `what` = ? WHERE `at` <=> ")
    );
}

#[test]
fn what_cannot_be_at_the_destination_is_refused_by_name() {
    let dialect = Mysql::mariadb();
    let named = |name: &str| Table {
        name: name.to_owned(),
        ..orders()
    };
    let with_column = |name: &str| {
        let mut table = orders();
        table.columns[1].name = name.to_owned();
        table
    };
    for (tables, words) in [
        (
            vec![named("_replicator_x")],
            "names that begin with _replicator_",
        ),
        (vec![named(&"é".repeat(65))], "has 65 characters"),
        (vec![named("x ")], "can end with a space"),
        (vec![with_column("\u{1F600}")], "U+1F600"),
        (vec![with_column("ID")], "\"id\" and \"ID\""),
        (vec![named("a"), named("a")], "would both be \"a\""),
    ] {
        let text = refusal(dialect, &tables);
        assert!(text.contains(words), "{text}");
    }
    let wide = |count: usize, oid: u32| {
        let mut wide = orders();
        let column = |at| Column::new(format!("c{at}"), Oid(oid), -1, Oid(oid));
        wide.columns = (0..count).map(column).collect();
        wide
    };
    assert!(refusal(dialect, &[wide(1018, 23)]).contains("has 1018 columns"));
    assert!(refusal(dialect, &[wide(300, 25)]).contains("40 for each of 299"));
    assert!(refusal(dialect, &[wide(0, 25)]).contains("no column"));
    // Only where the server folds them.
    let twins = [named("twin"), named("Twin")];
    assert!(refusal(dialect.folds(true), &twins).contains("upper and lower case are one"));
    dialect
        .name_tables(&Names::default(), &mut twins.clone())
        .unwrap();
}

#[test]
fn a_column_is_added_and_filled() {
    let (table, words) = (orders(), Mysql::mariadb());
    assert_eq!(
        words.add(&table, 1),
        "ALTER TABLE `orders` ADD COLUMN `total` DECIMAL(10, 2) NULL"
    );
    assert_eq!(
        words.retype(&table, 0).unwrap(),
        "ALTER TABLE `orders` MODIFY COLUMN `id` BIGINT NOT NULL"
    );
    assert_eq!(
        Mysql::fill(&table, 2, false),
        "UPDATE `orders` SET `note` = ?"
    );
    assert_eq!(
        Mysql::fill(&table, 2, true),
        "UPDATE `orders` SET `note` = NULL WHERE `note` IS NOT NULL"
    );
}

#[test]
fn lines_are_loaded_into_named_columns_and_bytes_from_hexadecimal() {
    let load = |columns| {
        let table = table("public", "t", columns, &[0]);
        let held = Held::all(&table, OnMisfit::Fail).unwrap();
        Target::new(&table, held, Flavour::MariaDb).load()
    };
    assert_eq!(
        load(&[("id", 23), ("a`b", 25)]),
        "LOAD DATA LOCAL INFILE 'rows' INTO TABLE `t` CHARACTER SET utf8mb4 \
         FIELDS TERMINATED BY X'09' ENCLOSED BY '' ESCAPED BY X'5C' LINES STARTING BY '' TERMINATED BY X'0A' \
         (`id`, `a``b`)"
    );
    let sql = load(&[("id", 23), ("b", 17), ("c", 17)]);
    let end = "(`id`, @b1, @b2) SET `b` = UNHEX(@b1), `c` = UNHEX(@b2)";
    assert!(sql.ends_with(end), "{sql}");
}
