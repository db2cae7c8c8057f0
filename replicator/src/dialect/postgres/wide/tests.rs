use super::*;

/// `varchar(length)` as its modifier.
const fn length(length: i32) -> i32 {
    length + HEADER
}

const fn numeric(precision: i32, scale: i32) -> i32 {
    (precision << 16 | scale) + HEADER
}

const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const JSON: u32 = 114;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const INT4_ARRAY: u32 = 1007;
const TEXT_ARRAY: u32 = 1009;
const BPCHAR: u32 = 1042;
const VARCHAR: u32 = 1043;
const DATE: u32 = 1082;
const TIME: u32 = 1083;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const BIT: u32 = 1560;
const VARBIT: u32 = 1562;
const NUMERIC: u32 = 1700;
const UUID: u32 = 2950;
const JSONB: u32 = 3802;
/// Of the source, and of the destination.
const ENUM: u32 = 70_000;
const CHAR: u32 = 18;

#[test]
fn a_column_is_wide_enough_or_it_is_not() {
    for (ours, wide, narrow) in [
        (
            (INT2, -1),
            &[
                (INT2, -1),
                (INT4, -1),
                (INT8, -1),
                (NUMERIC, -1),
                (NUMERIC, numeric(5, 0)),
                (TEXT, -1),
                (VARCHAR, length(6)),
            ][..],
            &[
                (NUMERIC, numeric(4, 0)),
                (NUMERIC, numeric(10, 2)),
                (VARCHAR, length(5)),
                (FLOAT8, -1),
            ][..],
        ),
        (
            (INT4, -1),
            &[(INT8, -1), (NUMERIC, numeric(10, 0)), (VARCHAR, -1)],
            &[
                (INT2, -1),
                (NUMERIC, numeric(9, 0)),
                (FLOAT4, -1),
                (FLOAT8, -1),
                (BPCHAR, length(20)),
                (INT4_ARRAY, -1),
            ],
        ),
        (
            (INT8, -1),
            &[(NUMERIC, numeric(19, 0)), (VARCHAR, length(20))],
            &[(INT4, -1), (NUMERIC, numeric(18, 0)), (VARCHAR, length(19))],
        ),
        (
            (FLOAT4, -1),
            &[(FLOAT8, -1), (VARCHAR, length(15))],
            &[(NUMERIC, -1)],
        ),
        ((FLOAT8, -1), &[(TEXT, -1)], &[(FLOAT4, -1), (NUMERIC, -1)]),
        (
            (NUMERIC, numeric(10, 2)),
            &[
                (NUMERIC, -1),
                (NUMERIC, numeric(12, 2)),
                (VARCHAR, length(15)),
            ],
            &[
                (NUMERIC, numeric(9, 2)),
                (NUMERIC, numeric(12, 3)),
                (VARCHAR, length(14)),
                (FLOAT8, -1),
            ],
        ),
        (
            (NUMERIC, -1),
            &[(TEXT, -1)],
            &[(NUMERIC, numeric(1000, 500)), (VARCHAR, length(1000))],
        ),
        (
            (VARCHAR, length(10)),
            &[
                (VARCHAR, length(10)),
                (VARCHAR, length(20)),
                (VARCHAR, -1),
                (TEXT, -1),
            ],
            &[
                (VARCHAR, length(9)),
                (BPCHAR, length(10)),
                (BPCHAR, length(20)),
            ],
        ),
        (
            (TEXT, -1),
            &[(VARCHAR, -1)],
            &[
                (VARCHAR, length(1000)),
                (BPCHAR, -1),
                (JSON, -1),
                (TEXT_ARRAY, -1),
            ],
        ),
        (
            (BPCHAR, length(10)),
            &[(BPCHAR, length(10)), (TEXT, -1), (VARCHAR, length(10))],
            &[(BPCHAR, length(20)), (VARCHAR, length(9))],
        ),
        (
            (TIMESTAMP, 3),
            &[
                (TIMESTAMP, 3),
                (TIMESTAMP, 6),
                (TIMESTAMP, -1),
                (TEXT, -1),
                (VARCHAR, length(29)),
            ],
            &[(TIMESTAMP, 2), (TIMESTAMPTZ, -1), (DATE, -1)],
        ),
        (
            (TIMESTAMPTZ, -1),
            &[(TIMESTAMPTZ, -1), (VARCHAR, length(32))],
            &[(TIMESTAMPTZ, 3), (TIMESTAMP, -1), (VARCHAR, length(31))],
        ),
        (
            (DATE, -1),
            &[(TEXT, -1)],
            &[(TIMESTAMP, -1), (TIMESTAMPTZ, -1)],
        ),
        ((TIME, 0), &[(TIME, 6)], &[(TIMESTAMP, -1)]),
        (
            (BIT, 5),
            &[(BIT, 5), (VARBIT, 5), (VARBIT, -1)],
            &[(BIT, 6), (VARBIT, 4)],
        ),
        (
            (UUID, -1),
            &[(TEXT, -1), (VARCHAR, length(36))],
            &[(VARCHAR, length(35)), (BPCHAR, length(36))],
        ),
        (
            (JSONB, -1),
            &[(JSON, -1), (TEXT, -1)],
            &[(VARCHAR, length(10_000))],
        ),
        ((JSON, -1), &[(TEXT, -1)], &[(JSONB, -1)]),
        (
            (INT4_ARRAY, -1),
            &[(INT4_ARRAY, -1), (TEXT, -1)],
            &[(TEXT_ARRAY, -1), (INT4, -1), (VARCHAR, length(100))],
        ),
        (
            (CHAR, -1),
            &[(TEXT, -1), (VARCHAR, length(4))],
            &[(ENUM, -1), (VARCHAR, length(3))],
        ),
        (
            (ENUM, -1),
            &[(TEXT, -1), (ENUM, -1), (VARCHAR, -1)],
            &[(INT4, -1), (VARCHAR, length(63)), (JSON, -1)],
        ),
    ] {
        let column = Column::new("c", Oid(ours.0), ours.1, Oid(ours.0));
        for (oid, typmod) in wide {
            assert!(
                keeps(&column, Oid(*oid), *typmod),
                "{ours:?} into {oid}, {typmod}"
            );
        }
        for (oid, typmod) in narrow {
            assert!(
                !keeps(&column, Oid(*oid), *typmod),
                "{ours:?} into {oid}, {typmod}"
            );
        }
    }
}
