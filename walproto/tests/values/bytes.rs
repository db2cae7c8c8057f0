//! Byte strings and uuids.

use testdata::workload::Random;
use walproto::Column;
use walproto::value::{BufferTooSmall, Bytea, Uuid, ValueErrorKind};

use crate::oracle::{self, both_forms, survives_junk};

fn hex(random: &mut Random, len: usize) -> String {
    (0..len)
        .map(|_| match random.below(4) {
            0 => "5c".into(),
            1 => format!("{:02x}", 0x20 + random.below(0x60)),
            _ => format!("{:02x}", random.below(256)),
        })
        .collect()
}

#[test]
fn byte_strings_are_what_the_server_says_in_either_style() {
    oracle::each(|oracle, random| {
        for style in ["hex", "escape"] {
            oracle.set("bytea_output", style);
            let mut inputs: Vec<_> = ["\\x", "\\x5c78", "\\x5c7830", "\\x00"]
                .map(String::from)
                .into();
            inputs.extend((0..1_500).map(|_| {
                let longest = *random.one_of(&[2, 20, 20, 300]);
                let len = random.below(longest);
                format!("\\x{}", hex(random, len))
            }));
            let answers = oracle.ask("bytea", &inputs, &["encode(x, 'hex')"]);
            for answer in &answers {
                let value = answer.value::<Bytea<'_>>();
                assert_eq!(value, answer.binary[..]);
                for form in answer.forms() {
                    let value = form.value::<Bytea<'_>>().expect("read before");
                    assert_eq!(value.to_string(), format!("\\x{}", answer.told(0)));
                    assert_eq!(value.len(), answer.binary.len());
                    assert_eq!(value.bytes().len(), value.len());
                    assert!(value.bytes().eq(answer.binary.iter().copied()));
                    let mut room = vec![0xAA; value.len() + 3];
                    assert_eq!(value.decode_into(&mut room), Ok(&answer.binary[..]));
                    assert_eq!(room[value.len()..], [0xAA; 3]);
                    if let Some(less) = value.len().checked_sub(1) {
                        let error = value.decode_into(&mut room[..less]).map(<[u8]>::len);
                        let needed = value.len();
                        assert_eq!(error, Err(BufferTooSmall { needed }));
                    }
                }
                let [_, binary] = answer.forms();
                assert_eq!(binary.value(), Ok(&answer.binary[..]));
            }
            survives_junk(&answers, random, |column| {
                column.value::<Bytea<'_>>().map(|value| {
                    assert_eq!(value.bytes().count(), value.len());
                    assert_eq!(value, Bytea::new(&value.bytes().collect::<Vec<_>>()));
                })
            });
        }
    });
}

#[test]
fn text_that_is_no_byte_string_is_refused_at_its_byte() {
    for (text, kind, offset) in [
        (&b"\\x0"[..], ValueErrorKind::Truncated, 3),
        (b"\\x0g", ValueErrorKind::UnexpectedByte, 3),
        (b"\\x00zz00", ValueErrorKind::UnexpectedByte, 4),
        (b"\\xg", ValueErrorKind::UnexpectedByte, 2),
        (b"ab\\", ValueErrorKind::Truncated, 3),
        (b"ab\\12", ValueErrorKind::Truncated, 5),
        (b"ab\\429", ValueErrorKind::UnexpectedByte, 3),
        (b"ab\\477", ValueErrorKind::UnexpectedByte, 3),
        (b"ab\\128", ValueErrorKind::UnexpectedByte, 5),
        (b"ab\\n", ValueErrorKind::UnexpectedByte, 3),
    ] {
        let error = Column::Text(text).value::<Bytea<'_>>().unwrap_err();
        assert_eq!(
            (error.kind, error.offset),
            (kind, offset),
            "{}",
            text.escape_ascii()
        );
    }
    let error = Column::Text(b"\\x00").value::<&[u8]>().unwrap_err();
    assert_eq!(error.kind, ValueErrorKind::NotBinary);
}

#[test]
fn uuids_are_what_the_server_says() {
    oracle::each(|oracle, random| {
        let mut inputs = vec!["0".repeat(32), "F".repeat(32)];
        inputs.extend(
            (0..2_000).map(|_| format!("{:016x}{:016x}", random.number(), random.number())),
        );
        let answers = oracle.ask("uuid", &inputs, &[]);
        both_forms(&answers, Column::value::<Uuid>);
        for answer in &answers {
            assert_eq!(answer.value::<Uuid>().0[..], answer.binary);
        }
        survives_junk(&answers, random, |column| column.value::<Uuid>());
    });
}

#[test]
fn text_that_is_no_uuid_is_refused_at_its_byte() {
    let sound = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    assert!(Column::Text(sound.as_bytes()).value::<Uuid>().is_ok());
    for at in 0..sound.len() {
        let mut wrong = sound.as_bytes().to_vec();
        wrong[at] = b'g';
        let error = Column::Text(&wrong).value::<Uuid>().unwrap_err();
        assert_eq!(
            (error.kind, error.offset),
            (ValueErrorKind::UnexpectedByte, u32::try_from(at).unwrap())
        );
        let error = Column::Text(&wrong[..at]).value::<Uuid>().unwrap_err();
        assert_eq!(
            (error.kind, error.offset),
            (ValueErrorKind::Truncated, u32::try_from(at).unwrap())
        );
    }
}
