//! What every destination must keep, played once for each.
//!
//! A case is a function over a [`Place`](place::Place), and is listed once in `each_case`. A new destination is one
//! file in `place/` and one line here.

#[path = "../common/mod.rs"]
mod common;

mod cases;
mod place;
mod stage;

/// All cases, for one place.
macro_rules! each_case {
    ($place:ty) => {
        each_case! { $place;
            everything: from_14, from_15, from_16, from_17, from_18;
            compare: planted_faults_are_found;
            names: hostile_names_are_only_names, the_longest_names, tables_that_differ_in_case,
                columns_that_differ_in_case, tables_of_two_schemas_that_would_share_a_name;
            keys: text_keys_that_look_alike, every_identity, nulls_in_keys_of_whole_rows,
                of_equal_rows_exactly_one;
            order: keys_that_change_places, ids_moved_up_by_one, ids_and_values_moved_together,
                the_same_row_again_and_again;
            toast: values_left_out_while_the_key_changes, keys_out_of_line;
            truncate: several_tables_among_other_changes;
            size: sixteen_hundred_columns, a_hundred_megabytes;
            partitions: by_their_own_names, by_the_name_of_the_root;
            publication: column_lists, row_filters, a_filter_that_makes_an_insert_without_a_value,
                generated_columns;
            whole: a_reader_sees_whole_transactions;
            conflict: a_row_too_many, a_row_too_few, a_key_taken_from_elsewhere;
            crash: killed_in_the_middle;
        }
    };
    ($place:ty; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            $(#[test]
            fn $case() {
                crate::cases::$module::$case::<$place>();
            })+
        })+
    };
}

/// What more is asked of a place with processes of its own.
#[cfg_attr(
    not(feature = "postgres"),
    allow(unused_macros, reason = "only a place with a server is killed")
)]
macro_rules! each_case_of_a_server {
    ($place:ty) => {
        each_case! { $place; server: killed_with_its_destination; }
    };
}

/// What is asked of a place that lets rows wait for their keys; in the end of all.
macro_rules! each_case_of_a_stricter_table {
    ($place:ty) => {
        each_case! { $place; stricter: into_a_table_that_compares_at_once, onto_a_row_from_elsewhere; }
    };
}

#[cfg(feature = "sqlite")]
mod sqlite {
    each_case!(crate::place::Sqlite);
    each_case_of_a_stricter_table!(crate::place::Sqlite);
}

#[cfg(feature = "postgres")]
mod postgres {
    each_case!(crate::place::Postgres);
    each_case_of_a_server!(crate::place::Postgres);
    each_case_of_a_stricter_table!(crate::place::Postgres);
}
