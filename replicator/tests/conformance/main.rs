//! What every destination must keep, played once for each.
//!
//! A case is a function over a [`Place`](place::Place), and is listed once in `each_case`. A new destination is one
//! file in `place/` and one line here.

#[path = "../common/mod.rs"]
mod common;

mod cases;
mod place;
mod stage;

/// All cases, for one place; with attributes for each of them, if any are given.
macro_rules! each_case {
    ($place:ty $(, $attributes:tt)?) => {
        most_cases!($place $(, $attributes)?);
        other_cases!($place $(, $attributes)?);
    };
}

/// The cases that meet most of what versions of a product differ in.
macro_rules! most_cases {
    ($place:ty $(, $attributes:tt)?) => {
        cases! { $place $(, $attributes)?;
            everything: from_14, from_15, from_16, from_17, from_18;
            order: keys_that_change_places, ids_moved_up_by_one, ids_and_values_moved_together,
                the_same_row_again_and_again;
            toast: values_left_out_while_the_key_changes, keys_out_of_line;
            size: sixteen_hundred_columns, four_hundred_texts, a_hundred_megabytes;
            conflict: a_row_too_many, a_row_too_few, a_key_taken_from_elsewhere;
            crash: killed_in_the_middle;
            joining: under_load;
        }
    };
}

/// The others.
macro_rules! other_cases {
    ($place:ty $(, $attributes:tt)?) => {
        cases! { $place $(, $attributes)?;
            both_ways: row_filters, column_lists, partitions, generated_columns, inheritance,
                replica_identities, no_columns;
            compare: planted_faults_are_found;
            names: hostile_names_are_only_names, names_without_room, the_longest_names,
                tables_that_differ_in_case, columns_that_differ_in_case,
                tables_of_two_schemas_that_would_share_a_name;
            keys: text_keys_that_look_alike, every_identity, nulls_in_keys_of_whole_rows,
                of_equal_rows_exactly_one;
            truncate: several_tables_among_other_changes;
            partitions: by_their_own_names, by_the_name_of_the_root;
            schema: columns_with_defaults_of_every_kind, columns_that_come_twice_or_not_at_all,
                columns_within_streamed_transactions, other_changes_wait, tables_written_anew_wait,
                killed_while_a_column_is_added, a_copy_instead_of_a_wait;
            publication: column_lists, row_filters, a_filter_that_makes_an_insert_without_a_value,
                generated_columns;
            whole: a_reader_sees_whole_transactions;
        }
    };
}

/// Tests out of cases, in modules of the same names.
macro_rules! cases {
    ($place:ty $(, [$($attribute:meta),*])?; $($module:ident: $($case:ident),+;)+) => {
        cases! { @modules $place, [$($($attribute),*)?]; $($module: $($case),+;)+ }
    };
    (@modules $place:ty, $attributes:tt; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            $(cases! { @test $place, $attributes, $module, $case })+
        })+
    };
    (@test $place:ty, [$($attribute:meta),*], $module:ident, $case:ident) => {
        #[test]
        $(#[$attribute])*
        fn $case() {
            crate::cases::$module::$case::<$place>();
        }
    };
}

/// What more is asked of a place with processes of its own.
#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql")),
    allow(unused_macros, reason = "only a place with a server is killed")
)]
macro_rules! each_case_of_a_server {
    ($place:ty $(, $attributes:tt)?) => {
        cases! { $place $(, $attributes)?; server: killed_with_its_destination; }
    };
}

/// What more is asked of a place whose types hold less than PostgreSQL's.
#[cfg_attr(
    not(any(feature = "mysql", feature = "sqlserver")),
    allow(unused_macros, reason = "the others hold all of it")
)]
macro_rules! each_case_of_narrow_types {
    ($place:ty $(, $attributes:tt)?) => {
        cases! { $place $(, $attributes)?; misfits: refused_while_copying, refused_in_the_stream; }
    };
}

/// What is asked of a place that lets rows wait for their keys; in the end of all.
macro_rules! each_case_of_a_stricter_table {
    ($place:ty) => {
        cases! { $place; stricter: into_a_table_that_compares_at_once, onto_a_row_from_elsewhere; }
    };
}

#[cfg(feature = "sqlite")]
mod sqlite {
    each_case!(crate::place::Sqlite);
    each_case_of_a_stricter_table!(crate::place::Sqlite);
}

#[cfg(feature = "postgres")]
mod postgres {
    each_case!(crate::place::Postgres<18>);
    each_case_of_a_server!(crate::place::Postgres<18>);
    each_case_of_a_stricter_table!(crate::place::Postgres<18>);
}

#[cfg(feature = "postgres")]
mod postgres_14 {
    most_cases!(crate::place::Postgres<14>);
    other_cases!(
        crate::place::Postgres<14>,
        [ignore = "long: testdata/long runs it"]
    );
    each_case_of_a_server!(crate::place::Postgres<14>);
}

#[cfg(feature = "postgres")]
mod postgres_15 {
    each_case!(
        crate::place::Postgres<15>,
        [ignore = "long: testdata/long runs it"]
    );
    each_case_of_a_server!(
        crate::place::Postgres<15>,
        [ignore = "long: testdata/long runs it"]
    );
}

#[cfg(feature = "postgres")]
mod postgres_16 {
    each_case!(
        crate::place::Postgres<16>,
        [ignore = "long: testdata/long runs it"]
    );
    each_case_of_a_server!(
        crate::place::Postgres<16>,
        [ignore = "long: testdata/long runs it"]
    );
}

#[cfg(feature = "postgres")]
mod postgres_17 {
    each_case!(
        crate::place::Postgres<17>,
        [ignore = "long: testdata/long runs it"]
    );
    each_case_of_a_server!(
        crate::place::Postgres<17>,
        [ignore = "long: testdata/long runs it"]
    );
}

#[cfg(feature = "mysql")]
mod mariadb {
    each_case!(crate::place::MariaDb);
    each_case_of_a_server!(crate::place::MariaDb);
    each_case_of_narrow_types!(crate::place::MariaDb);
}

#[cfg(feature = "mysql")]
mod genuine_mysql {
    each_case!(
        crate::place::MySql,
        [ignore = "needs a MySQL server: testdata/mysql runs it"]
    );
    each_case_of_narrow_types!(
        crate::place::MySql,
        [ignore = "needs a MySQL server: testdata/mysql runs it"]
    );
}

#[cfg(feature = "sqlserver")]
mod a_sql_server {
    each_case!(
        crate::place::SqlServer,
        [ignore = "needs a SQL Server: testdata/sqlserver runs it"]
    );
    each_case_of_narrow_types!(
        crate::place::SqlServer,
        [ignore = "needs a SQL Server: testdata/sqlserver runs it"]
    );
}
