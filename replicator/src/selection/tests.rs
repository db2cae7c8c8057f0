use super::*;
use crate::table::Column;
use walproto::Oid;

fn selection(tables: &str, without: &str, columns: &str, without_columns: &str) -> Selection {
    fn all<T: std::str::FromStr<Err = Error>>(text: &str) -> Vec<T> {
        text.split_whitespace()
            .map(|it| it.parse().unwrap())
            .collect()
    }
    Selection {
        tables: all(tables),
        without_tables: all(without),
        columns: all(columns),
        without_columns: all(without_columns),
    }
}

fn table(name: &str, columns: &[&str]) -> Table {
    let TableName { schema, table } = name.parse().unwrap();
    Table {
        oid: Oid(1),
        schema,
        name: table,
        destination: String::new(),
        columns: columns
            .iter()
            .map(|name| Column::new(*name, Oid(23), -1, Oid(23)))
            .collect(),
        key: vec![0],
        identity: 'd',
        relfilenode: 1,
    }
}

#[test]
fn leaving_out_counts_more_than_naming() {
    let of = selection("s.* a.t", "s.secret", "", "");
    for (name, selected) in [
        ("s.t", true),
        ("s.secret", false),
        ("a.t", true),
        ("a.u", false),
    ] {
        let name: TableName = name.parse().unwrap();
        assert_eq!(of.selects(&name.schema, &name.table), selected, "{name}");
    }
    assert!(Selection::default().selects("any", "thing"));
    let named: Vec<String> = of.named().map(ToString::to_string).collect();
    assert_eq!(named, ["a.t"]);
}

#[test]
fn hostile_names_stay_names() {
    let of = selection("", "a.* \"x'\".\"y;--\"", "", "");
    assert_eq!(
        of.leaves_out_sql("n", "t"),
        "(n = 'a' OR (n = 'x''' AND t = 'y;--'))"
    );
    assert_eq!(Selection::default().leaves_out_sql("n", "t"), "false");
}

#[test]
fn what_is_named_must_be_there() {
    let known: Vec<TableName> = ["public.orders", "hr.people"]
        .map(|it| it.parse().unwrap())
        .into();
    let refusal = |of: Selection| {
        let error = of.check(&known).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        format!("{error}; {}", error.hint().unwrap())
    };
    assert!(selection("orders", "hr.*", "", "").check(&known).is_ok());
    let message = refusal(selection("", "hr.peple", "", ""));
    assert!(
        message.contains("--exclude-tables names hr.peple"),
        "{message}"
    );
    assert!(message.contains("hr.people is one"), "{message}");
    let message = refusal(selection("hrr.*", "", "", ""));
    assert!(message.contains("hr.* is one"), "{message}");
}

#[test]
fn columns_are_those_named_without_those_left_out() {
    let of = selection("", "", "t.id t.a t.g", "t.a u.secret");
    let names: Vec<&TableName> = of.with_columns();
    let [t, u] = names[..] else {
        panic!("{names:?}")
    };
    for (column, generated, selected) in [
        ("id", false, true),
        ("a", false, false),
        ("b", false, false),
        ("g", true, true),
    ] {
        assert_eq!(
            of.selects_column(t, column, generated),
            selected,
            "{column}"
        );
    }
    for (column, generated, selected) in [
        ("id", false, true),
        ("secret", false, false),
        ("g", true, false),
    ] {
        assert_eq!(
            of.selects_column(u, column, generated),
            selected,
            "{column}"
        );
    }
}

#[test]
fn what_is_there_already_must_agree() {
    let there = [table("t", &["id", "a"]), table("s.u", &["id", "b"])];
    let refusal = |of: Selection, where_from| {
        let error = of.agrees(there.iter(), where_from).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    for of in [
        Selection::default(),
        selection("t s.*", "other", "t.a t.id", "s.u.c"),
    ] {
        of.agrees(there.iter(), WhereFrom::Publication).unwrap();
    }
    for (of, words) in [
        (
            selection("t", "", "", ""),
            "s.u, which --tables does not name",
        ),
        (
            selection("", "s.*", "", ""),
            "s.u, which --exclude-tables leaves out",
        ),
        (
            selection("", "", "t.id", ""),
            "column a of public.t, which the options leave out",
        ),
        (
            selection("", "", "", "s.u.b"),
            "column b of s.u, which the options leave out",
        ),
        (
            selection("", "", "t.id t.a t.g", ""),
            "public.t without the column g, which --columns names",
        ),
        (
            selection("", "", "v.id", ""),
            "columns of public.v are chosen",
        ),
    ] {
        for (place, begins) in [
            (
                WhereFrom::Publication,
                "the publication, which is there already, publishes",
            ),
            (WhereFrom::Ledger, "the destination follows"),
        ] {
            let message = refusal(of.clone(), place);
            assert!(message.contains(words), "{message}");
            assert!(
                message.starts_with(begins) || words.starts_with("columns"),
                "{message}"
            );
        }
    }
}
