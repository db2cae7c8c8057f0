//! Truth, whole numbers, and the numbers that identify things.

use testdata::workload::Random;
use walproto::value::{ValueErrorKind, Xid8};
use walproto::{Column, Lsn, Oid, Xid};

use crate::oracle::{self, both_forms, survives_junk};

/// Numbers of every length, and those at the ends of the range.
fn numbers(random: &mut Random, lowest: i128, highest: i128) -> Vec<String> {
    let mut numbers = vec![0, 1, lowest, lowest + 1, highest, highest - 1];
    while numbers.len() < 2_000 {
        let number = i128::from(random.number() >> random.below(64));
        let number = if random.once_in(2) { number } else { -number };
        if (lowest..=highest).contains(&number) {
            numbers.push(number);
        }
    }
    numbers.iter().map(i128::to_string).collect()
}

#[test]
fn booleans_are_what_the_server_says() {
    oracle::each(|oracle, random| {
        let inputs = ["t", "f"].map(String::from);
        let answers = oracle.ask("boolean", &inputs, &["x = true"]);
        assert_eq!(answers.len(), 2);
        for answer in &answers {
            assert_eq!(answer.value::<bool>(), answer.told(0) == "true");
        }
        survives_junk(&answers, random, |column| column.value::<bool>());
    });
}

#[test]
fn whole_numbers_are_what_the_server_says() {
    oracle::each(|oracle, random| {
        let inputs = numbers(random, i16::MIN.into(), i16::MAX.into());
        let answers = oracle.ask("smallint", &inputs, &[]);
        both_forms(&answers, Column::value::<i16>);
        survives_junk(&answers, random, |column| column.value::<i16>());

        let inputs = numbers(random, i32::MIN.into(), i32::MAX.into());
        let answers = oracle.ask("integer", &inputs, &[]);
        both_forms(&answers, Column::value::<i32>);
        survives_junk(&answers, random, |column| column.value::<i32>());

        let inputs = numbers(random, i64::MIN.into(), i64::MAX.into());
        let answers = oracle.ask("bigint", &inputs, &[]);
        both_forms(&answers, Column::value::<i64>);
        survives_junk(&answers, random, |column| column.value::<i64>());
    });
}

#[test]
fn identifying_numbers_are_what_the_server_says() {
    oracle::each(|oracle, random| {
        let inputs = numbers(random, 0, u32::MAX.into());
        let answers = oracle.ask("oid", &inputs, &[]);
        both_forms(&answers, Column::value::<Oid>);
        survives_junk(&answers, random, |column| column.value::<Oid>());
        both_forms(&oracle.ask("xid", &inputs, &[]), Column::value::<Xid>);

        let inputs = numbers(random, 0, u64::MAX.into());
        let answers = oracle.ask("xid8", &inputs, &[]);
        both_forms(&answers, Column::value::<Xid8>);
        survives_junk(&answers, random, |column| column.value::<Xid8>());

        let inputs: Vec<_> = (0..2_000)
            .map(|_| Lsn(random.number() >> random.below(64)).to_string())
            .collect();
        let answers = oracle.ask("pg_lsn", &inputs, &["x - '0/0'"]);
        both_forms(&answers, Column::value::<Lsn>);
        for answer in &answers {
            assert_eq!(answer.value::<Lsn>().0.to_string(), answer.told(0));
        }
        survives_junk(&answers, random, |column| column.value::<Lsn>());
    });
}

#[test]
fn money_is_text_or_a_number_of_cents() {
    oracle::each(|oracle, random| {
        let inputs: Vec<_> = numbers(random, i32::MIN.into(), i32::MAX.into())
            .into_iter()
            .map(|number| format!("{number}.25"))
            .collect();
        let answers = oracle.ask("money", &inputs, &["x::numeric * 100"]);
        for answer in &answers {
            let [text, binary] = answer.forms();
            assert_eq!(text.value(), Ok(answer.text.as_str()));
            let cents = binary.value::<i64>().expect("eight bytes");
            assert_eq!(format!("{cents}.00"), answer.told(0), "{answer:?}");
        }
    });
}

#[test]
fn numbers_that_do_not_fit_are_refused_at_their_byte() {
    let error = |text: &'static str| {
        let error = Column::Text(text.as_bytes()).value::<i64>().unwrap_err();
        (error.kind, error.offset)
    };
    assert_eq!(error(""), (ValueErrorKind::Truncated, 0));
    assert_eq!(error("-"), (ValueErrorKind::Truncated, 1));
    assert_eq!(error("+1"), (ValueErrorKind::UnexpectedByte, 0));
    assert_eq!(error("-12 "), (ValueErrorKind::UnexpectedByte, 3));
    let beyond = (ValueErrorKind::OutOfRange, 0);
    assert_eq!(error("9223372036854775808"), beyond);
    assert_eq!(error("-9223372036854775809"), beyond);
    assert_eq!(
        error("99999999999999999999999"),
        (ValueErrorKind::OutOfRange, 0)
    );
    let small = Column::Text(b"-32769").value::<i16>().unwrap_err();
    assert_eq!(small.kind, ValueErrorKind::OutOfRange);
    let oid = Column::Text(b"-1").value::<Oid>().unwrap_err();
    assert_eq!(oid.kind, ValueErrorKind::UnexpectedByte);
}

#[test]
fn a_binary_number_of_another_size_is_refused() {
    let error = |bytes: &'static [u8]| {
        let error = Column::Binary(bytes).value::<i32>().unwrap_err();
        (error.kind, error.offset)
    };
    assert_eq!(error(&[0, 0, 1]), (ValueErrorKind::Truncated, 3));
    assert_eq!(error(&[0; 8]), (ValueErrorKind::TrailingBytes, 4));
}
