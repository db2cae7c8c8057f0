//! `--map-schema` and `--map-table`.

use super::{Site, nothing_is_left, refused};

#[test]
fn tables_are_where_the_user_wants_them_and_stay_there() {
    let site = Site::new();
    site.sql(
        "CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY);
         CREATE TABLE sales.\"a.b\" (id int PRIMARY KEY); CREATE SCHEMA hr;
         CREATE TABLE hr.people (id int PRIMARY KEY);
         INSERT INTO sales.orders VALUES (1); INSERT INTO sales.\"a.b\" VALUES (2); INSERT INTO hr.people VALUES (3)",
    );
    let options = [
        "--map-schema",
        "sales=crm",
        "--map-schema",
        "hr=public",
        "--map-table",
        "t=x.\"t.t\",sales.\"a.b\"=dotted",
    ];
    site.caught_up(&options);
    let names = ["crm__orders", "dotted", "people", "x__t.t"];
    assert_eq!(site.tables(), names);
    site.sql(
        "INSERT INTO sales.orders VALUES (10); UPDATE sales.\"a.b\" SET id = 20; DELETE FROM hr.people;
         UPDATE t SET v = 'uno' WHERE id = 1",
    );
    site.caught_up(&options);
    assert_eq!(
        site.rows("SELECT id FROM crm__orders ORDER BY 1"),
        ["1", "10"]
    );
    assert_eq!(site.rows("SELECT id FROM dotted"), ["20"]);
    assert_eq!(site.rows("SELECT id FROM people"), [""; 0]);
    assert_eq!(site.rows("SELECT v FROM \"x__t.t\" WHERE id = 1"), ["uno"]);

    // Other names than those of the first run, or none: which of both is meant?
    site.sql("INSERT INTO sales.orders VALUES (11)");
    let words = [
        "table hr.people is \"people\"",
        "would be \"hr__people\"",
        "--map-schema",
    ];
    refused(&site, &[], 2, &words);
    let mut others = options;
    others[1] = "sales=other";
    let words = [
        "table sales.orders is \"crm__orders\"",
        "would be \"other__orders\"",
    ];
    refused(&site, &others, 2, &words);
    assert_eq!(site.rows("SELECT count(*) FROM crm__orders"), ["2"]);
    assert_eq!(site.tables(), names);
    site.caught_up(&options);
    assert_eq!(site.rows("SELECT count(*) FROM crm__orders"), ["3"]);
}

#[test]
fn names_that_meet_and_names_for_nothing_are_refused_before_anything_is_written() {
    let site = Site::new();
    site.sql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)");
    for (arguments, words) in [
        (
            ["--map-schema", "s=public"],
            ["public.t and s.t", "--map-table"],
        ),
        (
            ["--map-table", "u=T"],
            ["public.t and public.u", "would both be"],
        ),
        (
            ["--map-table", "public.uu=x"],
            ["public.uu is not among", "public.u is"],
        ),
        (["--map-schema", "ss=x"], ["no table of schema ss", "s is"]),
        (
            ["--map-table", "u=_replicator_tables"],
            ["reserved", "public.u"],
        ),
        (["--map-schema", "s"], ["--map-schema", "says no name"]),
        (["--map-table", "a.\"b=x"], ["--map-table", "says no name"]),
    ] {
        refused(&site, &arguments, 2, &words);
        nothing_is_left(&site);
    }
}
