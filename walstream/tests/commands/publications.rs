//! What publications publish, read from the catalog of every version.

use testdata::{Server, Version};
use walstream::{Client, Publication, PublishedName};

use crate::{config, sql};

async fn one(client: &mut Client, name: &str) -> Publication {
    let found = client.publication(name).await.unwrap();
    found.unwrap_or_else(|| panic!("publication {name} is not found"))
}

fn names(published: &[PublishedName]) -> Vec<String> {
    let name = |table: &PublishedName| format!("{}.{}", table.schema, table.name);
    published.iter().map(name).collect()
}

const HOSTILE: &str = r#"x"; DROP TABLE "y'\ --"#;

#[tokio::test]
async fn what_a_publication_names_and_brings_is_seen_on_every_version() {
    for version in Version::ALL {
        let server = Server::start(version);
        let mut client = sql(&server).await;
        let hostile = walstream::quote_identifier(HOSTILE);
        client
            .execute(&format!(
                "CREATE ROLE keeper; CREATE SCHEMA s; GRANT CREATE ON DATABASE postgres TO keeper;
                 CREATE TABLE public.a (id int PRIMARY KEY, b text, c int);
                 CREATE TABLE s.a (id int PRIMARY KEY);
                 CREATE TABLE s.{hostile} (id int PRIMARY KEY, {hostile} int);
                 CREATE TABLE public.whole (id int PRIMARY KEY) PARTITION BY RANGE (id);
                 CREATE TABLE public.part PARTITION OF public.whole FOR VALUES FROM (0) TO (10);
                 CREATE PUBLICATION everything FOR ALL TABLES;
                 CREATE PUBLICATION empty;
                 CREATE PUBLICATION silent FOR TABLE public.a WITH (publish = '');
                 CREATE PUBLICATION parts FOR TABLE public.whole;
                 CREATE PUBLICATION roots FOR TABLE public.whole WITH (publish_via_partition_root);
                 CREATE PUBLICATION {hostile} FOR TABLE s.a, s.{hostile}, public.a WITH (publish = 'insert, truncate');
                 ALTER PUBLICATION {hostile} OWNER TO keeper"
            ))
            .await
            .unwrap();

        let all = client.publications().await.unwrap();
        let found: Vec<_> = all.iter().map(|publication| &*publication.name).collect();
        let mut expected = vec!["empty", "everything", "parts", "roots", "silent", HOSTILE];
        expected.sort_unstable();
        assert_eq!(found, expected, "{version}");
        for publication in &all {
            assert_eq!(&one(&mut client, &publication.name).await, publication);
            assert_eq!(
                publication.generated_columns,
                (version.major() >= 18).then_some(false)
            );
        }
        assert_eq!(client.publication("absent").await.unwrap(), None);

        let everything = one(&mut client, "everything").await;
        assert!(everything.all_tables && everything.tables.is_empty());
        assert!(everything.insert && everything.update && everything.delete);
        assert!(everything.truncate && !everything.via_root && !everything.brings_nothing());
        assert_eq!(everything.owner, "postgres");
        assert_eq!(
            names(&everything.published),
            [
                "public.a".to_owned(),
                "public.part".into(),
                "s.a".into(),
                format!("s.{HOSTILE}")
            ],
            "{version}"
        );

        let empty = one(&mut client, "empty").await;
        assert!(empty.brings_nothing() && !empty.all_tables && empty.published.is_empty());
        let silent = one(&mut client, "silent").await;
        assert!(silent.brings_nothing() && names(&silent.published) == ["public.a"]);

        let (parts, roots) = (
            one(&mut client, "parts").await,
            one(&mut client, "roots").await,
        );
        assert_eq!((parts.via_root, roots.via_root), (false, true));
        assert_eq!(names(&parts.published), ["public.part"]);
        assert_eq!(names(&roots.published), ["public.whole"]);
        assert_eq!(parts.tables, roots.tables);

        let odd = one(&mut client, HOSTILE).await;
        assert_eq!(odd.owner, "keeper");
        assert_eq!(
            (odd.insert, odd.update, odd.delete, odd.truncate),
            (true, false, false, true)
        );
        let tables: Vec<_> = odd
            .tables
            .iter()
            .map(|table| (&*table.schema, &*table.name, &table.columns, &table.filter))
            .collect();
        assert_eq!(
            tables,
            [
                ("public", "a", &None, &None),
                ("s", "a", &None, &None),
                ("s", HOSTILE, &None, &None)
            ]
        );
        assert!(odd.schemas.is_empty());
    }
}

#[tokio::test]
async fn column_lists_row_filters_and_schemas_are_seen_from_15_on() {
    for version in [Version::V15, Version::V16, Version::V17, Version::V18] {
        let server = Server::start(version);
        let mut client = sql(&server).await;
        let hostile = walstream::quote_identifier(HOSTILE);
        client
            .execute(&format!(
                "CREATE SCHEMA s; CREATE SCHEMA {hostile};
                 CREATE TABLE s.a (id int PRIMARY KEY, b text, {hostile} int, d int);
                 CREATE TABLE s.b (id int PRIMARY KEY);
                 CREATE TABLE {hostile}.c (id int);
                 CREATE PUBLICATION lists FOR TABLE s.a (d, {hostile}, id) WHERE (id > 5), s.b;
                 CREATE PUBLICATION schemas FOR TABLES IN SCHEMA s, {hostile}"
            ))
            .await
            .unwrap();
        let lists = one(&mut client, "lists").await;
        let [a, b] = &*lists.tables else {
            panic!("{lists:?}")
        };
        let columns: Vec<_> = a.columns.iter().flatten().map(String::as_str).collect();
        assert_eq!(columns, ["id", HOSTILE, "d"], "{version}");
        assert_eq!(a.filter.as_deref(), Some("(id > 5)"));
        assert_eq!((&*b.name, &b.columns, &b.filter), ("b", &None, &None));

        let schemas = one(&mut client, "schemas").await;
        assert_eq!(schemas.schemas, ["s", HOSTILE]);
        assert!(schemas.tables.is_empty());
        assert_eq!(
            names(&schemas.published),
            ["s.a".to_owned(), "s.b".into(), format!("{HOSTILE}.c")]
        );
    }
}

#[tokio::test]
async fn generated_columns_are_seen_from_18_on() {
    let server = Server::start(Version::V18);
    let mut client = Client::connect_replication(&config(&server)).await.unwrap();
    client
        .execute(
            "CREATE TABLE public.t (id int PRIMARY KEY);
             CREATE PUBLICATION stored FOR TABLE public.t WITH (publish_generated_columns = stored);
             CREATE PUBLICATION usual FOR TABLE public.t",
        )
        .await
        .unwrap();
    let stored = one(&mut client, "stored").await;
    assert_eq!(stored.generated_columns, Some(true));
    let usual = one(&mut client, "usual").await;
    assert_eq!(usual.generated_columns, Some(false));
}
