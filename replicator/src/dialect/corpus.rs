//! Values at the edges of types, and others beside them, as a server prints them: for tests that store them elsewhere.

use testdata::Client;
use walproto::Oid;

use crate::table::Column;

/// Types with values at their edges, and with an expression for more, of `n` from 1 on.
pub(crate) const TYPES: &[(&str, &[&str], &str)] = &[
    ("boolean", &["t", "f"], "n % 2 = 0"),
    (
        "smallint",
        &["-32768", "32767", "0"],
        "(random() * 65535 - 32768)::int",
    ),
    (
        "integer",
        &["-2147483648", "2147483647"],
        "(random() * 4294967295 - 2147483648)::bigint",
    ),
    (
        "bigint",
        &[
            "-9223372036854775808",
            "9223372036854775807",
            "9007199254740993",
        ],
        "(random() * 1e18)::bigint * (n % 3 - 1)",
    ),
    (
        "oid",
        &["0", "4294967295"],
        "(random() * 4294967295)::bigint",
    ),
    (
        "real",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "-0",
            "0",
            "1e-45",
            "3.4028235e38",
            "0.1",
            "16777217",
            "8999999000",
        ],
        "(random() - 0.5) * 10 ^ (n % 70 - 35)",
    ),
    (
        "double precision",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "-0",
            "5e-324",
            "1.7976931348623157e308",
            "2.2250738585072014e-308",
            "0.1",
            "1e23",
            "9007199254740993",
        ],
        "(random() - 0.5) * 10 ^ (n * 2 % 600 - 300)",
    ),
    (
        "numeric",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "0",
            "0.00",
            "1e1000",
            "1.0",
            "1.00",
            "-0.000000000000000000000000000000000001",
        ],
        "(random() * 10 ^ (n % 50))::numeric * (n % 3 - 1)",
    ),
    (
        "numeric(10,2)",
        &["NaN", "0", "99999999.99", "-99999999.99", "0.1"],
        "(random() - 0.5) * 10 ^ (n % 8)",
    ),
    (
        "numeric(65,30)",
        &[
            "NaN",
            "12345678901234567890123456789012345.123456789012345678901234567890",
            "-0.000000000000000000000000000001",
        ],
        "(random()::numeric - 0.5) * 10::numeric ^ (n % 34)",
    ),
    (
        "numeric(1000,500)",
        &["NaN", "1e499", "-1e-500"],
        "random()::numeric * 10::numeric ^ n",
    ),
    (
        "numeric(3,-2)",
        &["99900", "-100", "NaN"],
        "(random() - 0.5) * 100000",
    ),
    (
        "numeric(2,5)",
        &["0.00099", "-0.00001", "0"],
        "(random() - 0.5) / 1000",
    ),
    (
        "text",
        &[
            "",
            " ",
            "a",
            "A",
            "a ",
            "ä",
            "t",
            "f",
            "\\N",
            "''",
            "\"",
            "\\",
            "\\0",
            "\r\n",
            "\t",
            "\u{10FFFF}",
            "e\u{301}",
            "é",
            "%_",
            "NULL",
        ],
        "chr(1 + (random() * 55000)::int) || chr(65536 + (random() * 1000000)::int) || repeat(' ', n % 3)",
    ),
    (
        "varchar(20)",
        &["", "a  ", "ÄÖÜ", "\u{1F600}"],
        "repeat(chr(65536 + n), n % 20) || ' '",
    ),
    (
        "char(10)",
        &["", "a", "ä b"],
        "repeat(chr(200 + n), n % 10)",
    ),
    ("name", &["", "x"], "repeat('n', n % 63)"),
    ("\"char\"", &["", "a", "\\377"], "chr(1 + n % 127)"),
    (
        "bytea",
        &["", "\\x00", "\\x00ff", "\\x27", "\\x5c", "\\x0d0a"],
        "decode(lpad(to_hex(n * 7919), 2 + n % 9 * 2, '0'), 'hex')",
    ),
    (
        "date",
        &[
            "infinity",
            "-infinity",
            "0044-03-15 BC",
            "4713-01-01 BC",
            "0001-01-01",
            "0004-02-29",
            "1000-01-01",
            "1582-10-10",
            "1900-02-28",
            "2000-02-29",
            "9999-12-31",
            "10000-01-01",
            "5874897-12-31",
        ],
        "date '0001-01-01' + (random() * 4000000)::int",
    ),
    (
        "time",
        &[
            "00:00:00",
            "24:00:00",
            "23:59:59.999999",
            "00:00:00.000001",
            "12:00:00.5",
        ],
        "time '00:00' + interval '1 second' * random() * 86400",
    ),
    (
        "time(3)",
        &["24:00:00", "23:59:59.999", "12:00:00.5"],
        "time '00:00' + interval '1 second' * random() * 86399",
    ),
    (
        "timetz",
        &["24:00:00+00", "23:59:59.999999+15:59:59", "00:00:00-15:59"],
        "time '00:00' + interval '1 second' * random() * 86400",
    ),
    (
        "timestamp",
        &[
            "infinity",
            "-infinity",
            "0001-01-01 00:00:00",
            "0001-12-31 23:59:59.999999 BC",
            "9999-12-31 23:59:59.999999",
            "10000-01-01 00:00:00",
            "294276-12-31 23:59:59.999999",
            "2024-02-29 12:00:00.100000",
            "1883-11-18 12:00:00",
        ],
        "timestamp '0001-01-01' + interval '1 second' * (random() * 315000000000)",
    ),
    (
        "timestamp(0)",
        &["infinity", "9999-12-31 23:59:59", "0099-02-28 00:00:00"],
        "timestamp '1970-01-01' + interval '1 second' * random() * 1e10",
    ),
    (
        "timestamptz",
        &[
            "infinity",
            "-infinity",
            "0001-01-01 00:00:00+00",
            "4714-11-24 00:00:00+00 BC",
            "9999-12-31 23:59:59.999999+00",
            "2024-03-31 02:30:00+00",
            "294276-12-31 23:59:59.999999+00",
            "1883-11-18 12:00:00+00",
        ],
        "timestamptz '0001-01-01 00:00+00' + interval '1 second' * (random() * 315000000000)",
    ),
    (
        "interval",
        &[
            "-178000000 years -8 mons -2147483648 days -2562047788:00:54.775807",
            "1 mon -1 day 00:00:00.000001",
            "00:00:00",
            "infinity",
        ],
        "interval '1 second' * random() * 1e9 + interval '1 mon' * n",
    ),
    (
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ],
        "md5(n::text)::uuid",
    ),
    (
        "json",
        &[
            "{\"a\":1, \"a\":2}",
            " [1,  2.50]",
            "\"\\u0000\"",
            "null",
            "1e400",
        ],
        "json_build_object('n', n, 'x', random())",
    ),
    (
        "jsonb",
        &["{\"b\": 1, \"a\": 1.50}", "\"\u{1F600}\""],
        "jsonb_build_object('n', n, 'x', random())",
    ),
    (
        "inet",
        &[
            "::1",
            "fe80::1/10",
            "10.1.2.3/8",
            "255.255.255.255",
            "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/127",
        ],
        "inet '10.0.0.0' + n",
    ),
    (
        "cidr",
        &["10.0.0.0/8", "2001:db8::/32", "10.1.2.3/32"],
        "(inet '10.0.0.0' + n)::cidr",
    ),
    (
        "macaddr",
        &["08:00:2b:01:02:03"],
        "trunc(macaddr '08:00:2b:01:02:03')",
    ),
    (
        "macaddr8",
        &["08:00:2b:01:02:03:04:05"],
        "macaddr8 '08:00:2b:01:02:03:04:05'",
    ),
    ("bit(5)", &["00000", "10101"], "n::bit(5)"),
    ("varbit(20)", &["", "1"], "n::bit(20)"),
    (
        "integer[]",
        &["{}", "[0:1]={7,8}", "{NULL,1}", "{{1,2},{3,4}}"],
        "ARRAY[n, NULL, -n]",
    ),
    (
        "text[]",
        &["{\"\",\"a b\",NULL,\"\\\"\",\"NULL\"}"],
        "ARRAY[repeat(' ', n), chr(n)]",
    ),
    (
        "int4range",
        &["empty", "[1,5)", "(,)"],
        "int4range(n, n + 5)",
    ),
    ("money", &["-92233720368547758.08", "0"], "n::money"),
    (
        "point",
        &["(1.5,-0)", "(NaN,Infinity)"],
        "point(random(), n)",
    ),
    ("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF"], "'0/0'::pg_lsn + n"),
    (
        "tsvector",
        &["'a':1A 'b' 'c d':2,3"],
        "to_tsvector('simple', 'word' || n)",
    ),
];

/// A table `t` with such values, and more of them at random: its column, and each value once as COPY prints it.
pub(crate) fn fill(
    client: &mut Client,
    sql_type: &str,
    edges: &[&str],
    random: &str,
    count: usize,
) -> (Column, Vec<String>) {
    client.batch("DROP TABLE IF EXISTS t CASCADE").unwrap();
    client
        .batch(&format!("CREATE TABLE t (n serial, c {sql_type})"))
        .unwrap();
    let quoted = |text: &&str| format!("('{}')", text.replace("''", "'").replace('\'', "''"));
    let edges: Vec<String> = edges.iter().map(quoted).collect();
    client
        .batch(&format!("INSERT INTO t (c) VALUES {}", edges.join(", ")))
        .unwrap();
    let more = format!(
        "INSERT INTO t (c) SELECT ({random})::{sql_type} FROM generate_series(1, {count}) n"
    );
    client
        .batch(&more)
        .unwrap_or_else(|error| panic!("{sql_type}: {error}"));
    let kind = client
        .query("SELECT atttypid::text, atttypmod::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'c'")
        .unwrap();
    let number = |at: usize| kind[0][at].as_deref().unwrap();
    let oid = Oid(number(0).parse().unwrap());
    let column = Column::new("c", oid, number(1).parse().unwrap(), oid);
    // As the output function prints it; a cast to text would take the blanks off a char(n).
    let printed = String::from_utf8(client.copy_out("COPY (SELECT c FROM t) TO STDOUT").unwrap());
    let mut texts: Vec<String> = printed
        .unwrap()
        .lines()
        .map(|line| {
            let mut text = Vec::new();
            crate::copy::unescape(line.as_bytes(), &mut text);
            String::from_utf8(text).unwrap()
        })
        .collect();
    texts.sort();
    texts.dedup();
    (column, texts)
}
