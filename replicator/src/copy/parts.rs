//! What a table is read in: ranges of pages, and partitions one by one.

use walstream::walproto::Oid;
use walstream::{Client, quote_identifier};

use crate::error::Result;
use crate::source::{self, PublishedTable};

/// Bytes of a part, values out of line included: a few seconds of reading, so that workers end a table together.
const BYTES: u64 = 64 << 20;

/// How many parts a table has at most, or nearly; each has a row at the destination until the table is copied.
const MOST: u64 = 1024;

/// Rows of a table that are read by one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// From 1.
    pub(super) number: u32,
    /// `COPY … TO STDOUT`.
    pub(super) sql: String,
}

/// Where rows lie.
#[derive(Debug)]
struct Leaf {
    schema: String,
    name: String,
    /// A table of pages, whose rows can be asked for by their place.
    heap: bool,
    pages: u64,
    bytes: u64,
}

/// The parts of a table that is locked, and is as the snapshot of this session says.
///
/// Pages are counted now: the snapshot's rows lie in them, also those that the last part finds behind.
pub(super) async fn plan(client: &mut Client, published: &PublishedTable) -> Result<Vec<Part>> {
    let leaves = leaves(client, published).await?;
    Ok(divide(published, leaves.as_deref(), size()))
}

/// The size of a part; tests want many of a small table.
fn size() -> u64 {
    #[cfg(feature = "failpoints")]
    if let Ok(text) = std::env::var("REPLICATOR_PART_BYTES") {
        return text.parse().expect("a number of bytes");
    }
    BYTES
}

/// The tables that hold the rows; `None` if they can only be read together.
async fn leaves(client: &mut Client, published: &PublishedTable) -> Result<Option<Vec<Leaf>>> {
    let Oid(oid) = published.table.oid;
    // Partitions have rights and row security of their own, which the stream of their root does not ask for.
    let sql = format!(
        "WITH RECURSIVE leaf(oid, inside) AS (
           SELECT {oid}::oid, false
           UNION ALL
           SELECT i.inhrelid, true FROM leaf l JOIN pg_class c ON c.oid = l.oid AND c.relkind = 'p'
           JOIN pg_inherits i ON i.inhparent = l.oid
         )
         SELECT n.nspname, c.relname, c.relkind = 'r' AND m.amname = 'heap',
                inside AND NOT (has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid)),
                CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::bigint END,
                CASE WHEN c.relkind = 'r' THEN pg_table_size(c.oid) END
         FROM leaf l JOIN pg_class c ON c.oid = l.oid JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_am m ON m.oid = c.relam
         WHERE c.relkind <> 'p' ORDER BY c.oid"
    );
    let mut leaves = Vec::new();
    for row in client.query(&sql).await? {
        let text = |at| row.get(at).ok_or_else(|| source::missing_field(at));
        let number = |at| row.get(at).map_or(Ok(0), source::parse);
        if text(3)? == "t" {
            return Ok(None);
        }
        leaves.push(Leaf {
            schema: text(0)?.to_owned(),
            name: text(1)?.to_owned(),
            heap: row.get(2) == Some("t"),
            pages: number(4)?,
            bytes: number(5)?,
        });
    }
    Ok(Some(leaves))
}

/// Parts of about `size` bytes.
fn divide(published: &PublishedTable, leaves: Option<&[Leaf]>, size: u64) -> Vec<Part> {
    let mut queries = Vec::new();
    match leaves {
        None => queries.push(source::copy_query(published)),
        Some(leaves) => {
            let all: u64 = leaves.iter().map(|leaf| leaf.bytes).sum();
            let size = size.max(all / MOST).max(1);
            for leaf in leaves {
                let name = format!(
                    "ONLY {}.{}",
                    quote_identifier(&leaf.schema),
                    quote_identifier(&leaf.name)
                );
                let ranges = if leaf.heap {
                    ranges(leaf, size)
                } else {
                    vec![None]
                };
                for range in ranges {
                    queries.push(source::part_query(published, &name, range.as_deref()));
                }
            }
        }
    }
    (1..)
        .zip(queries)
        .map(|(number, sql)| Part { number, sql })
        .collect()
}

/// Conditions that each row of a table fulfils one of. The last has no end: pages may come behind.
fn ranges(leaf: &Leaf, size: u64) -> Vec<Option<String>> {
    let count = leaf.bytes.div_ceil(size).clamp(1, leaf.pages.max(1));
    let first = |part: u64| {
        // The product of two numbers of pages and parts is far below 2^64.
        (leaf.pages * part).div_ceil(count)
    };
    let range = |part| {
        let from = (part > 0).then(|| format!("ctid >= '({},0)'", first(part)));
        let to = (part + 1 < count).then(|| format!("ctid < '({},0)'", first(part + 1)));
        match (from, to) {
            (Some(from), Some(to)) => Some(format!("{from} AND {to}")),
            (one, other) => one.or(other),
        }
    };
    (0..count).map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(pages: u64, bytes: u64) -> Leaf {
        Leaf {
            schema: "s".to_owned(),
            name: "t".to_owned(),
            heap: true,
            pages,
            bytes,
        }
    }

    /// The page at which each range begins, and that before which it ends.
    fn bounds(leaf: &Leaf, size: u64) -> Vec<(u64, u64)> {
        let number = |range: &Option<String>, word: &str, without| {
            let text = range.as_deref().unwrap_or_default();
            let Some((_, rest)) = text.split_once(word) else {
                return without;
            };
            rest.split_once(',').unwrap().0.parse().unwrap()
        };
        ranges(leaf, size)
            .iter()
            .map(|it| (number(it, ">= '(", 0), number(it, "< '(", u64::MAX)))
            .collect()
    }

    #[test]
    fn every_page_is_in_one_range_and_pages_to_come_in_the_last() {
        for (pages, bytes, size) in [
            (0, 0, 10),
            (1, 8192, 1),
            (7, 7 * 8192, 8192),
            (7, 7 * 8192, 10_000),
            (3, 1 << 40, 1 << 20),
            (1000, 8_192_000, 1_000_000),
            (131_072, 1 << 30, 64 << 20),
        ] {
            let bounds = bounds(&leaf(pages, bytes), size);
            assert_eq!(bounds[0].0, 0);
            assert_eq!(bounds.last().unwrap().1, u64::MAX);
            for two in bounds.windows(2) {
                assert_eq!(two[0].1, two[1].0, "{bounds:?}");
                assert!(two[0].0 < two[0].1, "{bounds:?}");
            }
        }
        assert_eq!(bounds(&leaf(131_072, 1 << 30), 64 << 20).len(), 16);
    }

    #[test]
    fn values_out_of_line_count_as_long_as_there_are_pages_to_divide() {
        assert_eq!(ranges(&leaf(3, 1 << 40), 1 << 20).len(), 3);
        assert_eq!(ranges(&leaf(1, 1 << 40), 1 << 20), [None]);
    }
}
