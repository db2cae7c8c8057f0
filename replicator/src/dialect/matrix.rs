//! What a destination keeps of each of PostgreSQL's types, as one table: the docs are written from it, and tests hold it
//! against the code that makes columns and sends values.

use std::fmt::Write;
use std::path::Path;

use walproto::Oid;

#[cfg(any(feature = "mysql", feature = "sqlserver"))]
use crate::config::OnMisfit;
use crate::table::Column;
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
use crate::value::Value;

/// Types that are kept in one way.
pub(crate) struct Line {
    pub(crate) types: &'static [Type],
    /// For the docs, where a list of all declarations says less.
    pub(crate) kept: Option<&'static str>,
    /// What to know of it.
    pub(crate) note: &'static str,
    pub(crate) misfits: &'static [Misfit],
}

/// A type of PostgreSQL's, and the declaration of its column.
pub(crate) struct Type {
    pub(crate) name: &'static str,
    pub(crate) oid: u32,
    pub(crate) typmod: i32,
    pub(crate) held: &'static str,
    /// The declaration with `--on-misfit text`.
    pub(crate) as_text: &'static str,
}

/// A value that the column cannot hold.
pub(crate) struct Misfit {
    pub(crate) value: &'static str,
    /// What `--on-misfit clamp` stores.
    pub(crate) nearest: Option<&'static str>,
}

/// A type that is kept in one way, whatever the policy.
pub(crate) const fn kept(name: &'static str, oid: u32, typmod: i32, held: &'static str) -> Type {
    Type {
        name,
        oid,
        typmod,
        held,
        as_text: held,
    }
}

/// A type with values that its column cannot hold.
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
pub(crate) const fn narrow(
    name: &'static str,
    oid: u32,
    typmod: i32,
    held: &'static str,
    as_text: &'static str,
) -> Type {
    Type {
        name,
        oid,
        typmod,
        held,
        as_text,
    }
}

/// A value, and the nearest that there is.
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
pub(crate) const fn near(value: &'static str, nearest: &'static str) -> Misfit {
    Misfit {
        value,
        nearest: Some(nearest),
    }
}

#[cfg(any(feature = "mysql", feature = "sqlserver"))]
pub(crate) const NAN: Misfit = Misfit {
    value: "NaN",
    nearest: None,
};

impl Type {
    /// A column of the type.
    pub(crate) fn column(&self) -> Column {
        Column::new("c", Oid(self.oid), self.typmod, Oid(self.oid))
    }
}

/// The table in Markdown.
pub(crate) fn markdown(product: &str, lines: &[Line]) -> String {
    let with_misfits = lines.iter().any(|line| !line.misfits.is_empty());
    let mut out = format!("| PostgreSQL | {product} | |");
    out += if with_misfits {
        " does not hold; `clamp` stores | with `text` |\n|---|---|---|---|---|\n"
    } else {
        "\n|---|---|---|\n"
    };
    for line in lines {
        let list = |each: fn(&Type) -> &'static str| {
            let mut all: Vec<&str> = Vec::new();
            for text in line.types.iter().map(each) {
                if !all.contains(&text) {
                    all.push(text);
                }
            }
            let quoted: Vec<String> = all.into_iter().map(|text| format!("`{text}`")).collect();
            quoted.join(", ")
        };
        let held = line.kept.map_or_else(|| list(|of| of.held), str::to_owned);
        let names = list(|of| of.name);
        let _ = write!(out, "| {names} | {held} | {} |", line.note);
        if with_misfits {
            let misfits = line.misfits.iter().map(|misfit| match misfit.nearest {
                Some(nearest) => format!("`{}`: `{nearest}`", misfit.value),
                None => format!("`{}`: stops all the same", misfit.value),
            });
            let misfits: Vec<String> = misfits.collect();
            let as_text = if misfits.is_empty() {
                String::new()
            } else {
                list(|of| of.as_text)
            };
            let _ = write!(out, " {} | {as_text} |", misfits.join("; "));
        }
        out.push('\n');
    }
    out
}

/// Holds the docs against the table; `BLESS=1` writes it there.
pub(crate) fn check_docs(product: &str, lines: &[Line]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/types.md");
    let docs = std::fs::read_to_string(&path).unwrap();
    let begin = format!("<!-- {product} -->\n");
    let (before, rest) = docs.split_once(&begin).expect("a place for the table");
    let (there, after) = rest
        .split_once("<!-- end -->")
        .expect("an end of the table");
    let table = markdown(product, lines);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}<!-- end -->{after}")).unwrap();
        return;
    }
    assert_eq!(
        there, table,
        "docs/types.md is not what the code does; BLESS=1 writes it anew"
    );
}

/// Holds declarations of columns against the table.
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
pub(crate) fn check_columns(lines: &[Line], declared: impl Fn(&Column, OnMisfit) -> String) {
    for of in lines.iter().flat_map(|line| line.types) {
        let column = of.column();
        for (policy, sql) in [
            (OnMisfit::Fail, of.held),
            (OnMisfit::Clamp, of.held),
            (OnMisfit::Text, of.as_text),
        ] {
            assert_eq!(declared(&column, policy), sql, "{}", of.name);
        }
    }
}

/// Holds what is said of a value against the table.
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
pub(crate) fn check_values(
    lines: &[Line],
    held: impl Fn(&Column, OnMisfit, &Value) -> Result<(), crate::misfit::Misfit>,
) {
    for line in lines {
        for of in line.types {
            let column = of.column();
            for misfit in line.misfits {
                let value = Value::from_text(column.kind, misfit.value.as_bytes()).unwrap();
                let refused = held(&column, OnMisfit::Fail, &value).unwrap_err();
                let nearest = refused.nearest().map(|nearest| match nearest {
                    Value::Text(text) => text.clone(),
                    other => other.to_string(),
                });
                let what = format!("{}: {}", of.name, misfit.value);
                assert_eq!(nearest.as_deref(), misfit.nearest, "{what}");
                assert!(
                    held(&column, OnMisfit::Text, &value).is_ok(),
                    "{what} as text"
                );
            }
            // Where the policy makes a difference, there is a reason for it.
            let differs = of.held != of.as_text;
            assert_eq!(differs, !line.misfits.is_empty(), "{}", of.name);
        }
    }
}

/// Holds every type that the table does not have against the one that such types are kept in.
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
pub(crate) fn check_others(
    lines: &[Line],
    text: &str,
    declared: impl Fn(&Column, OnMisfit) -> String,
) {
    let listed = |oid: u32| {
        let mut types = lines.iter().flat_map(|line| line.types);
        types.any(|of| of.oid == oid)
    };
    for oid in (1..16_384).filter(|oid| !listed(*oid)) {
        let column = kept("", oid, -1, "").column();
        assert_eq!(declared(&column, OnMisfit::Fail), text, "type {oid}");
        assert_eq!(super::text::longest(&column), None, "type {oid}");
    }
}
