//! What must stay as a snapshot has it for a table to be copied in that snapshot.

use std::collections::HashMap;

use walstream::walproto::Oid;
use walstream::{Client, quote_literal};

use crate::error::Result;
use crate::source::missing_field;

/// Everything about tables that decides what a copy reads of them, as text; a table that is gone has none.
///
/// Only rows of the catalog are read, as `client`'s transaction sees them, and none of its functions: those lock the tables
/// that they tell of, and whoever waits to lock a table exclusively stands in front of everybody who comes later, behind a
/// copy that holds the table already.
pub(super) async fn versions(
    client: &mut Client,
    oids: &[Oid],
    publications: &[String],
) -> Result<HashMap<Oid, String>> {
    let schemas = match client.server_version().major() {
        ..15 => "",
        15.. => {
            "UNION ALL
             SELECT f.root, concat_ws(' ', 'schema', s.oid, s.xmin, s.pnpubid)
             FROM family f JOIN pg_class c ON c.oid = f.oid JOIN pg_publication_namespace s ON s.pnnspid = c.relnamespace"
        }
    };
    let oids: Vec<String> = oids.iter().map(|oid| oid.0.to_string()).collect();
    let names: Vec<String> = publications
        .iter()
        .map(|name| quote_literal(name))
        .collect();
    let sql = format!(
        "WITH RECURSIVE part(root, oid) AS (
           SELECT oid, oid FROM pg_class WHERE oid IN ({})
           UNION ALL
           SELECT p.root, i.inhrelid FROM part p JOIN pg_class c ON c.oid = p.oid AND c.relkind = 'p'
           JOIN pg_inherits i ON i.inhparent = p.oid
         ), parent(root, oid) AS (
           SELECT p.root, i.inhparent FROM part p JOIN pg_inherits i ON i.inhrelid = p.root WHERE p.oid = p.root
           UNION
           SELECT p.root, i.inhparent FROM parent p JOIN pg_inherits i ON i.inhrelid = p.oid
         ), family AS (
           SELECT root, oid FROM part UNION SELECT root, oid FROM parent
         ), line(root, line) AS (
           SELECT p.root, concat_ws(' ', 'table', c.oid, c.relnamespace, c.relname, c.relkind, c.relpersistence,
                                    c.relreplident, c.relfilenode, c.relrowsecurity, c.relispartition)
           FROM part p JOIN pg_class c ON c.oid = p.oid
           UNION ALL
           SELECT p.root, concat_ws(' ', 'column', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod,
                                    a.attisdropped, a.attgenerated)
           FROM part p JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum > 0
           UNION ALL
           SELECT p.root, concat_ws(' ', 'key', i.indexrelid, i.indisprimary, i.indisreplident, i.indisvalid, i.indkey)
           FROM part p JOIN pg_index i ON i.indrelid = p.oid WHERE i.indisprimary OR i.indisreplident
           UNION ALL
           SELECT p.root, concat_ws(' ', 'parent', p.oid) FROM parent p
           UNION ALL
           SELECT f.root, concat_ws(' ', 'published', r.oid, r.xmin, r.prpubid)
           FROM family f JOIN pg_publication_rel r ON r.prrelid = f.oid
           UNION ALL
           SELECT p.root, concat_ws(' ', 'publication', b.oid, b.xmin)
           FROM part p CROSS JOIN pg_publication b WHERE p.oid = p.root AND b.pubname IN ({})
           {schemas}
         )
         SELECT root, string_agg(line, E'\\n' ORDER BY line COLLATE \"C\") FROM line GROUP BY root",
        oids.join(", "),
        names.join(", ")
    );
    let mut versions = HashMap::new();
    for row in client.query(&sql).await? {
        let oid = row.get(0).and_then(|oid| oid.parse().ok());
        let oid = Oid(oid.ok_or_else(|| missing_field(0))?);
        let text = row.get(1).ok_or_else(|| missing_field(1))?;
        versions.insert(oid, text.to_owned());
    }
    Ok(versions)
}
