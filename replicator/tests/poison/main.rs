//! Rows that the destination refuses: named whole where the run stops, left out and kept in a file where that is wanted.

#[path = "../common/mod.rs"]
mod common;

mod bench;
#[cfg(feature = "failpoints")]
mod crash;
mod left_out;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "sqlite")]
mod own;
#[path = "../conformance"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the conformance suite uses all of it"
)]
mod conformance {
    pub(crate) mod place;
}
mod skip;
mod words;

use conformance::place;

/// All cases, for one product.
macro_rules! each_case {
    ($product:ty) => {
        each_case! { $product;
            words: a_check, a_trigger, a_missing_value, a_conflict, a_key_of_another_row;
            left_out: one_row_of_many_transactions, every_value_as_the_source_prints_it, rows_of_a_streamed_transaction,
                what_a_conflict_leaves_open,
                what_is_no_rows_fault_stops, what_was_not_sent_is_named, a_row_and_its_later_changes, a_file_that_cannot_be_written;
            skip: a_transaction_as_errors_name_it, several_at_once, what_is_not_met_is_said,
                a_changed_definition_is_not_skipped;
        }
        #[cfg(feature = "failpoints")]
        each_case! { $product; crash: between_file_and_commit, of_a_skipped_transaction; }
    };
    ($product:ty; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            $(#[test]
            fn $case() {
                crate::$module::$case::<$product>();
            })+
        })+
    };
}

#[cfg(feature = "sqlite")]
mod sqlite {
    each_case!(crate::place::Sqlite);
}

#[cfg(feature = "postgres")]
mod postgres {
    each_case!(crate::place::Postgres<18>);

    #[test]
    fn what_is_found_at_the_end_stops() {
        crate::left_out::what_is_found_at_the_end_stops();
    }
}

#[cfg(feature = "mysql")]
mod mariadb {
    each_case!(crate::place::MariaDb);
}
