//! The source's sequences: which there are, which columns take their values from them, and where they are.

use std::collections::HashMap;

use walstream::walproto::Oid;
use walstream::{Client, quote_identifier};

use super::sequence::{Name, Sequence};
use crate::error::{Error, Result};
use crate::source::{missing_field, parse};

/// A sequence of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) sequence: Sequence,
    /// Columns of followed tables that take their values from it.
    pub(crate) columns: Vec<(Oid, String)>,
}

/// Sequences whose values are asked for together.
const TOGETHER: usize = 500;

/// Every sequence that a column of these tables takes its values from, or that is in one of their schemas.
///
/// # Errors
///
/// We may not read one: all of them are named.
pub(crate) async fn sequences(client: &mut Client, tables: &[Oid]) -> Result<Vec<Used>> {
    let rows = client.query(&query(tables)).await?;
    let mut all: Vec<Used> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut unread = Vec::new();
    for row in &rows {
        let field = |at: usize| row.get(at).ok_or_else(|| missing_field(at));
        let number = |at: usize| field(at).and_then(parse::<i64>);
        let oid = field(0)?.to_owned();
        let at = match places.get(&oid) {
            Some(at) => *at,
            None => {
                let sequence = Sequence {
                    name: Name::new(field(1)?, field(2)?),
                    last: 0,
                    called: false,
                    increment: number(3)?,
                    min: number(4)?,
                    max: number(5)?,
                    cache: number(6)?,
                    cycles: field(7)? == "t",
                };
                if field(8)? != "t" {
                    unread.push(sequence.name.to_string());
                }
                all.push(Used {
                    sequence,
                    columns: Vec::new(),
                });
                places.insert(oid, all.len() - 1);
                all.len() - 1
            }
        };
        if let (Some(table), Some(column)) = (row.get(9), row.get(10))
            && let Some(used) = all.get_mut(at)
        {
            used.columns.push((Oid(parse(table)?), column.to_owned()));
        }
    }
    if !unread.is_empty() {
        let names = unread.join(", ");
        let user = client.query("SELECT current_user").await?;
        let user = user.first().and_then(|row| row.get(0)).unwrap_or_default();
        return Err(Error::person(format!(
            "the role {user:?} may not read the source's sequences {names}"
        ))
        .with_hint(format!(
            "at the source: GRANT SELECT ON SEQUENCE {names} TO {}",
            quote_identifier(user)
        )));
    }
    for some in all.chunks_mut(TOGETHER) {
        values(client, some).await?;
    }
    Ok(all)
}

/// Where each of them is now. `last_value` is what was given out, also where a session holds more of them in its cache
/// (`CACHE`): then it is the last of those.
async fn values(client: &mut Client, all: &mut [Used]) -> Result<()> {
    let selects: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(at, used)| {
            let Name { schema, name } = &used.sequence.name;
            let (schema, name) = (quote_identifier(schema), quote_identifier(name));
            format!("SELECT {at}, last_value, is_called FROM {schema}.{name}")
        })
        .collect();
    let rows = client.query(&selects.join(" UNION ALL ")).await?;
    for row in &rows {
        let field = |at: usize| row.get(at).ok_or_else(|| missing_field(at));
        let at: usize = parse(field(0)?)?;
        if let Some(used) = all.get_mut(at) {
            used.sequence.last = parse(field(1)?)?;
            used.sequence.called = field(2)? == "t";
        }
    }
    Ok(())
}

/// Identities, and defaults that call `nextval` of a sequence that they name: of a name that is put together when the
/// default is evaluated the catalog knows nothing.
fn query(tables: &[Oid]) -> String {
    let oids: Vec<String> = tables.iter().map(|oid| oid.0.to_string()).collect();
    let oids = oids.join(", ");
    format!(
        "WITH used AS (
           SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attribute FROM pg_depend d
           WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i'
             AND d.refobjsubid > 0
           UNION
           SELECT d.refobjid, a.adrelid, a.adnum FROM pg_depend d JOIN pg_attrdef a ON a.oid = d.objid
           WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
         ), followed AS (SELECT oid, relnamespace FROM pg_class WHERE oid = ANY ('{{{oids}}}'::oid[]))
         SELECT s.oid, n.nspname, s.relname, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle,
                has_sequence_privilege(s.oid, 'SELECT'), f.oid, a.attname
         FROM pg_class s
         JOIN pg_namespace n ON n.oid = s.relnamespace
         JOIN pg_sequence q ON q.seqrelid = s.oid
         LEFT JOIN (used u JOIN followed f ON f.oid = u.relation
                    JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.attribute AND NOT a.attisdropped)
           ON u.sequence = s.oid
         WHERE s.relkind = 'S' AND s.relpersistence <> 't'
           AND (f.oid IS NOT NULL OR s.relnamespace IN (SELECT relnamespace FROM followed))
         ORDER BY n.nspname, s.relname, s.oid, f.oid, a.attnum"
    )
}
