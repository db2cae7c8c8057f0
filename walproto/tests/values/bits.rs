//! Bit strings.

use testdata::workload::Random;
use walproto::Column;
use walproto::value::{BitString, ValueErrorKind};

use crate::oracle::{self, both_forms, survives_junk};

fn digits(random: &mut Random, len: usize) -> String {
    (0..len).map(|_| *random.one_of(&['0', '1'])).collect()
}

#[test]
fn bit_strings_are_read_as_the_server_writes_them() {
    oracle::each(|oracle, random| {
        for (ty, longest) in [
            ("varbit", 80),
            ("bit(1)", 0),
            ("bit(24)", 0),
            ("bit(29)", 0),
        ] {
            let fixed = ty
                .strip_prefix("bit(")
                .and_then(|len| len.strip_suffix(')'));
            let inputs: Vec<String> = (0..1_500)
                .map(|_| {
                    let len = match fixed {
                        Some(len) => len.parse().unwrap(),
                        None => random.below(longest),
                    };
                    digits(random, len)
                })
                .collect();
            let answers = oracle.ask(ty, &inputs, &["length(x)"]);
            both_forms(&answers, |column| {
                column.value::<BitString<'_>>().map(|bits| bits.to_string())
            });
            for (answer, input) in answers.iter().zip(&inputs) {
                let bits: BitString<'_> = answer.value();
                assert_eq!(bits.len().to_string(), answer.told(0));
                assert_eq!(bits.bits().len(), bits.len());
                assert!(bits.bits().eq(input.bytes().map(|digit| digit == b'1')));
                for form in answer.forms() {
                    let bits: BitString<'_> = form.value().unwrap();
                    let at = random.below(bits.len() + 1);
                    assert_eq!(bits.get(at), bits.bits().nth(at));
                    assert_eq!(bits.bits().skip(at).len(), bits.len() - at);
                }
            }
            survives_junk(&answers, random, |column| {
                let bits: BitString<'_> = column.value()?;
                assert_eq!(bits.bits().count(), bits.len());
                assert_eq!(bits.to_string().len(), bits.len());
                Ok(())
            });
        }
    });
}

#[test]
fn bit_strings_that_are_none_are_refused_with_the_byte() {
    use ValueErrorKind::{OutOfRange, TrailingBytes, Truncated, UnexpectedByte};
    let error = Column::Text(b"0102").value::<BitString<'_>>().unwrap_err();
    assert_eq!((error.kind, error.offset), (UnexpectedByte, 3));
    for (bytes, kind, offset) in [
        (&[0, 0, 0][..], Truncated, 3),
        (&[0xFF, 0xFF, 0xFF, 0xFF], OutOfRange, 0),
        (&[0, 0, 0, 9, 0xFF], Truncated, 5),
        (&[0, 0, 0, 8, 0xFF, 0], TrailingBytes, 5),
        // A bit behind the last one.
        (&[0, 0, 0, 3, 0b1011_0000], UnexpectedByte, 4),
    ] {
        let error = Column::Binary(bytes).value::<BitString<'_>>().unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{bytes:?}");
    }
}
