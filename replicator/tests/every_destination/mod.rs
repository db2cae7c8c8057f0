//! What every destination promises, played on the trait for each product. What only one of them does is beside it.

pub(crate) mod batch;
pub(crate) mod copies;
pub(crate) mod start;
pub(crate) mod values;

use std::future::Future;
use std::sync::Arc;

use replicator::{
    Action, Chunk, Column, Destination, Error, Existing, Operation, Outcome, PositionRow, State,
    Table, Value,
};
use walproto::{Lsn, Oid};

pub(crate) const INT: u32 = 23;
pub(crate) const TEXT: u32 = 25;

/// An empty database of a product.
pub(crate) trait Ground: Sized {
    type Destination: Destination;

    /// Columns and key of a table that somebody else made, and that holds all that [`keyed`] does.
    const KEYED: &str = "id int PRIMARY KEY, name text";

    /// The same without the key.
    const KEYLESS: &str = "id int, name text";

    /// How many columns of text a table may have.
    const COLUMNS: usize = 1600;

    /// Whether the floating point numbers 0 and -0 are two keys.
    const TWO_ZEROS: bool = true;

    /// Whether rows of a copy may come over several sessions.
    const ANOTHER: bool = true;

    /// Names that no table or column can have.
    const NO_NAMES: &[&str] = &[];

    /// Whether a table and a column can have this name.
    fn takes(&self, name: &str) -> bool {
        !Self::NO_NAMES.contains(&name)
    }

    /// One of each version that is to be tried.
    fn all() -> impl Iterator<Item = Self>;

    /// Opens it, as one that holds every value there is.
    fn open(&self) -> impl Future<Output = Self::Destination>;

    /// The same, with conflicts resolved in the source's favour.
    fn open_applying(&self) -> impl Future<Output = Self::Destination>;

    /// Lets it be opened once more while it is open.
    fn unlock(&self) {}

    /// Looks at it as any other program would.
    fn look(&self, sql: &str) -> Vec<String>;

    /// Changes it as any other program would.
    fn meddle(&self, sql: &str);
}

/// A test of each case for a ground; with attributes for each of them, if any are given.
#[macro_export]
macro_rules! every_case {
    ($ground:ty $(, [$($attribute:meta),*])?) => {
        every_case! { $ground, [$($($attribute),*)?];
            batch: data_and_position_come_together_or_not_at_all,
                an_idle_batch_writes_the_position_and_never_a_lower_one,
                a_zombie_changes_nothing_after_a_newcomer_took_over,
                a_position_that_somebody_moved_needs_a_person,
                divergence_stops_with_table_key_and_position_and_undoes_the_batch,
                two_rows_under_one_key_in_a_table_that_we_took_over_are_a_conflict,
                of_equal_rows_exactly_one_is_touched,
                more_shapes_than_are_kept_ready_do_no_harm,
                changes_of_several_tables_among_each_other_end_as_they_would_one_by_one,
                the_one_change_of_many_that_does_not_fit_is_named,
                conflicts_are_resolved_in_the_sources_favour_where_that_is_asked_for;
            copies: a_chunk_is_in_once_however_often_it_is_handed_in,
                a_chunk_before_its_turn_is_refused,
                what_one_row_of_a_chunk_meets_keeps_all_of_it_out,
                a_copy_that_begins_anew_starts_with_nothing,
                a_table_of_ours_is_made_again_for_other_columns_or_another_key,
                a_table_of_somebody_elses_stays_as_it_is_and_must_be_wide_enough,
                rows_without_a_copy_that_has_begun_are_refused,
                a_copy_that_is_finished_streams_and_has_no_chunks,
                who_was_taken_over_copies_nothing_more,
                several_sessions_copy_one_table_at_the_same_time,
                a_destination_of_the_first_layout_is_gone_on_with,
                a_destination_of_the_second_layout_is_brought_to_the_third,
                a_table_catches_up_once_and_only_if_it_has_to;
            start: a_first_start_leaves_a_position_and_a_ledger_that_a_later_one_finds,
                a_first_copy_that_starts_over_drops_what_it_made_and_nothing_else,
                the_source_of_a_first_copy_can_be_taken_over_too,
                an_intent_is_never_written_over_a_position_nor_a_position_taken_for_an_intent,
                a_table_that_somebody_else_made_stops_with_the_way_out,
                rows_that_are_to_go_go_when_the_copy_begins,
                rows_that_are_to_stay_stay_and_a_copy_beside_them_is_begun_once,
                forgetting_a_slot_keeps_its_tables_and_other_slots, a_stopped_table_says_why,
                a_newer_layout_of_our_tables_is_left_alone,
                half_of_our_tables_is_not_a_new_destination,
                tables_of_other_tools_with_our_names_are_left_alone;
            values: special_values_come_back_as_they_were, any_row_comes_back_to_the_bit,
                any_row_that_is_copied_comes_back_to_the_bit,
                as_many_columns_as_there_may_be_are_no_deeper_than_one,
                hostile_names_are_only_names;
        }
    };
    ($ground:ty, $attributes:tt; $($module:ident: $($case:ident),+;)+) => {
        mod every {
            $(mod $module {
                $($crate::every_case! { @test $ground, $attributes, $module, $case })+
            })+
        }
    };
    (@test $ground:ty, [$($attribute:meta),*], $module:ident, $case:ident) => {
        #[tokio::test]
        $(#[$attribute])*
        async fn $case() {
            for ground in <$ground as $crate::every_destination::Ground>::all() {
                $crate::every_destination::$module::$case(&ground).await;
            }
        }
    };
}

pub(crate) fn named(oid: u32, name: &str, columns: &[(&str, u32)], key: &[usize]) -> Arc<Table> {
    Arc::new(Table {
        oid: Oid(oid),
        schema: "public".to_owned(),
        name: name.to_owned(),
        destination: name.to_owned(),
        columns: columns
            .iter()
            .map(|(name, oid)| Column::new(*name, Oid(*oid), -1, Oid(*oid)))
            .collect(),
        key: key.to_vec(),
        identity: 'd',
        relfilenode: oid,
    })
}

/// `id integer primary key, name text`
pub(crate) fn keyed() -> Arc<Table> {
    named(1, "t", &[("id", INT), ("name", TEXT)], &[0])
}

pub(crate) fn keyless() -> Arc<Table> {
    named(2, "log", &[("at", INT), ("what", TEXT)], &[])
}

/// Rows of a copy as of 100, as COPY sends them.
pub(crate) fn chunk(table: &Arc<Table>, part: u32, number: u64, lines: &[&str]) -> Chunk {
    let mut chunk = Chunk::new(Arc::clone(table), Lsn(100), part, number);
    for line in lines {
        chunk.push(format!("{line}\n").as_bytes());
    }
    chunk
}

pub(crate) fn intent() -> PositionRow {
    PositionRow {
        slot: "s".to_owned(),
        state: State::Intent,
        system_id: "7301".to_owned(),
        timeline: 1,
        database: "shop".to_owned(),
        publications: vec!["p".to_owned(), "q \"r\"".to_owned()],
        lsn: Lsn(90),
        epoch: 0,
        holder: "process 1".to_owned(),
        fingerprint: "f".to_owned(),
        source_time: None,
    }
}

/// A destination that has copied nothing and streams from 100.
pub(crate) async fn streaming<G: Ground>(
    ground: &G,
    tables: &[&Arc<Table>],
) -> (G::Destination, PositionRow) {
    started(ground.open().await, tables).await
}

/// The same in one that is open.
pub(crate) async fn started<D: Destination>(
    mut destination: D,
    tables: &[&Arc<Table>],
) -> (D, PositionRow) {
    let row = destination.write_intent(&intent()).await.unwrap();
    for table in tables {
        destination
            .create_table("s", table, Existing::Refuse)
            .await
            .unwrap();
    }
    let row = destination
        .activate(&PositionRow {
            lsn: Lsn(100),
            ..row
        })
        .await
        .unwrap();
    (destination, row)
}

pub(crate) fn int(number: i64) -> Value {
    Value::Integer(number)
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn operation(table: &Arc<Table>, action: Action) -> Operation {
    Operation {
        table: Arc::clone(table),
        lsn: Lsn(0x1_0000_0002),
        action,
    }
}

pub(crate) fn insert(table: &Arc<Table>, values: &[Value]) -> Operation {
    operation(
        table,
        Action::Insert {
            values: values.to_vec(),
        },
    )
}

pub(crate) fn update(table: &Arc<Table>, set: &[(usize, Value)], matched: &[Value]) -> Operation {
    operation(
        table,
        Action::Update {
            set: set.to_vec(),
            matched: matched.to_vec(),
        },
    )
}

pub(crate) fn delete(table: &Arc<Table>, matched: &[Value]) -> Operation {
    operation(
        table,
        Action::Delete {
            matched: matched.to_vec(),
        },
    )
}

/// One whole batch.
pub(crate) async fn apply(
    destination: &mut impl Destination,
    row: &PositionRow,
    to: u64,
    operations: Vec<Operation>,
) -> Result<PositionRow, Error> {
    destination.begin(row, &row.advanced(Lsn(to))).await?;
    destination.execute(operations).await?;
    match destination.commit().await? {
        Outcome::Committed(row) => Ok(row),
        Outcome::NotCommitted(error) => Err(error),
    }
}

pub(crate) async fn everything(
    destination: &mut impl Destination,
    table: &Arc<Table>,
) -> Vec<Vec<Value>> {
    let mut rows = destination.read(table).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = rows.next().await.unwrap() {
        assert!(!chunk.is_empty());
        all.extend(chunk);
    }
    all
}
