//! What a destination keeps of each of PostgreSQL's types, as one table: the docs are written from it, and tests hold it
//! against the code that makes columns and sends values.

use std::fmt::Write;
use std::path::Path;

use walproto::Oid;

use crate::table::Column;

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
