//! Rows that go into a temporary table together.

use super::*;

/// The types of a temporary table, as the protocol writes them.
fn staged() -> Answer {
    let text = vec![0xe7, 0xff, 0xff, 9, 4, 208, 0, 52];
    Answer::Columns(vec![
        (vec![0x26, 4], "c0"),
        (text, "c1"),
        (vec![0x2a, 6], "c2"),
        (vec![0x2b, 6], "c3"),
        (vec![0x6a, 17, 20, 6], "c4"),
    ])
}

pub(super) const FILLING: &str = "INSERT INTO [#stage] VALUES (CONVERT(int, @P1), CONVERT(nvarchar(max), @P2), \
    CONVERT(datetime2(6), @P3, 121), CONVERT(datetimeoffset(6), @P4, 121), CONVERT(decimal(20, 6), @P5))";

pub(super) fn held() -> Vec<Held> {
    // numeric(20, 6)
    let types = [
        (23, -1),
        (25, -1),
        (1114, -1),
        (1184, -1),
        (1700, 1_310_730),
    ];
    let column = |(oid, typmod)| Column::new("c", Oid(oid), typmod, Oid(oid));
    let held = |of| Held::of(&column(of), crate::config::OnMisfit::Fail);
    types.into_iter().map(held).collect()
}

pub(super) const fn stage(held: &[Held]) -> Stage<'_> {
    Stage {
        name: "[#stage]",
        held,
        filling: FILLING,
    }
}

async fn fill(session: &mut Session, rows: &[Vec<Value>]) -> Result<(), tiberius::error::Error> {
    let rows: Vec<Vec<&Value>> = rows.iter().map(|row| row.iter().collect()).collect();
    session.fill(stage(&held()), &rows).await
}

pub(super) fn row(id: i64, name: &str) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    vec![
        Value::Integer(id),
        text(name),
        text("1970-01-01 00:00:01.5"),
        text("1970-01-01 00:00:01.5 +00:00"),
        text("-1.5"),
    ]
}

fn taking(count: u64) -> impl Fn(&Heard) -> Option<Answer> + Send + Sync + 'static {
    move |heard| match heard {
        Heard::Batch(sql) if sql.starts_with("SELECT TOP 0") => Some(staged()),
        Heard::Rows(_) => Some(Answer::Took(count)),
        Heard::Call(sql, ..) if sql.starts_with("INSERT INTO [#stage]") => Some(ran(1)),
        _ => None,
    }
}

#[tokio::test]
async fn rows_are_loaded_at_their_columns_scale_and_long_ones_by_parameter() {
    let (endpoint, mut session) = opened(taking(2)).await;
    let long = "x".repeat(32_768);
    let mut nulls = vec![Value::Null; 5];
    nulls[0] = Value::Integer(3);
    let rows = [row(1, "é"), row(2, &long), nulls];
    fill(&mut session, &rows).await.unwrap();
    let heard = endpoint.heard();
    let [
        ..,
        Heard::Batch(bulk),
        Heard::Rows(loaded),
        Heard::Call(single, _, values),
    ] = &heard[..]
    else {
        panic!("{heard:?}");
    };
    assert!(bulk.starts_with("INSERT BULK [#stage] ("), "{bulk}");
    assert!(single.starts_with(FILLING), "{single}");
    assert_eq!(values[1], Cell::Text(long));
    let expected = [
        0xd1, // a row
        4, 1, 0, 0, 0, // 1
        0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0xe9, 0, 0, 0, 0, 0, // é
        8, 0x60, 0xe3, 0x16, 0, 0, 0x3a, 0xf9, 0x0a, // 1,500,000 of a second, day 719,162
        10, 0x60, 0xe3, 0x16, 0, 0, 0x3a, 0xf9, 0x0a, 0, 0, // and no minutes from UTC
        5, 0, 0x60, 0xe3, 0x16, 0, // minus 1,500,000
        0xd1, 4, 3, 0, 0, 0, // 3
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, // NULLs
        0xfd,
    ];
    let found = loaded.windows(expected.len()).any(|part| part == expected);
    assert!(found, "{loaded:02x?}");
}

#[tokio::test]
async fn a_load_that_is_not_taken_whole_is_an_error() {
    let (_endpoint, mut session) = opened(taking(1)).await;
    let error = fill(&mut session, &[row(1, "a"), row(2, "b")])
        .await
        .unwrap_err();
    assert!(
        said(&error).contains("of 2 rows the server took 1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_found_before_anything_is_sent() {
    let (endpoint, mut session) = opened(taking(1)).await;
    let heard = endpoint.heard().len();
    let mut late = row(1, "a");
    late[2] = Value::Text("infinity".to_owned());
    let error = fill(&mut session, &[late]).await.unwrap_err();
    assert_eq!(failure("what", error).kind(), ErrorKind::Person);
    assert_eq!(endpoint.heard().len(), heard);
    assert!(!session.is_lost());
}
