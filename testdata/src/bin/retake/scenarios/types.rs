//! Every common type with its edge values.

use testdata::Version;

use super::{Kind, Played, Scenario};
use crate::scene::{Leg, Scene};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "types",
    setup,
    backlog: Vec::new,
    publications: "capture",
    play,
    checks,
    must_show,
    kind: Kind::Plain,
};

fn setup(_: Version) -> String {
    r#"
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "odd"');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE DOMAIN label AS varchar(20);
    CREATE TYPE pair AS (a int, b text);
    CREATE SCHEMA other;
    CREATE TYPE other.mood AS ENUM ('x');
    CREATE TABLE numbers (id int PRIMARY KEY, yes bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8,
        free numeric, fixed numeric(10,2), coin money, o oid);
    CREATE TABLE texts (id int PRIMARY KEY, t text, v varchar(10), c char(5), n name, one "char", b bytea);
    CREATE TABLE times (id int PRIMARY KEY, d date, t time, tz timetz, ts timestamp, tstz timestamptz,
        ts0 timestamp(0), span interval);
    CREATE TABLE others (id uuid PRIMARY KEY, j json, jb jsonb, i inet, c cidr, m macaddr, m8 macaddr8,
        b3 bit(3), bv varbit, p point, l line, s lseg, bx box, pa path, po polygon, ci circle,
        tv tsvector, tq tsquery, x xml, lsn pg_lsn);
    CREATE TABLE collections (id int PRIMARY KEY, ints int[], words text[], grid int[][], mo mood[],
        r4 int4range, rn numrange, rt tstzrange, mr int4multirange);
    CREATE TABLE own (id positive PRIMARY KEY, m mood, om other.mood, l label, p pair, ps pair[], ls label[]);
    CREATE PUBLICATION capture FOR TABLE numbers, texts, times, others, collections, own;
    "#
    .into()
}

fn play(scene: &mut Scene) -> Played {
    scene.sql(
        r"INSERT INTO numbers VALUES
        (1, true, 32767, 2147483647, 9223372036854775807, 3.4028235e38, 1.7976931348623157e308,
            123456789012345678901234567890.123456789, 99999999.99, 92233720368547758.07, 4294967295),
        (2, false, -32768, -2147483648, -9223372036854775808, 1e-45, 5e-324,
            -0.000000000000000000000000000001, -99999999.99, -92233720368547758.08, 0),
        (3, NULL, 0, 0, 0, '-0', '-0', 0, 0, 0, NULL),
        (4, NULL, 1, 1, 1, 'NaN', 'NaN', 'NaN', 'NaN', 1.5, 1),
        (5, NULL, 1, 1, 1, 'Infinity', '-Infinity', 'Infinity', 1, 1, 1),
        (6, NULL, 1, 1, 1, 0.1, 0.1, '-Infinity', 1, 1, 1),
        (7, NULL, 1, 1, 1, 0.30000001, 0.30000000000000004, 0e-1, 1.10, 1, 1),
        (8, NULL, NULL, NULL, NULL, NULL, NULL, 1e40, NULL, NULL, NULL),
        (9, NULL, NULL, NULL, NULL, NULL, NULL, 10000.00001, NULL, NULL, NULL)",
    )?;
    scene.sql(
        r#"INSERT INTO texts VALUES
        (1, 't', 'f', 'ab', 'name', 'c', '\x00ff10'),
        (2, '', '', '', '', '', ''),
        (3, '\N', '''', '\', '""""', '''', '\x5c78'),
        (4, E'a\r\nb\tc\x01\x7f', ' lead', ' x ', NULL, NULL, NULL),
        (5, U&'\+10FFFF \00E9 e\0301 \+01F600 \FEFF \2028', U&'\00E4\00F6\00FC', NULL, NULL, NULL, NULL),
        (6, 'NULL', 'null', 'n', NULL, NULL, decode('E280A8', 'hex')),
        (7, '$1 %s {} ; -- /* */', '0123456789', '12345', NULL, NULL, NULL)"#,
    )?;
    scene.sql(
        r"INSERT INTO times VALUES
        (1, '2026-02-28', '12:34:56.789012', '12:34:56.789+05:30', '2026-02-28 12:34:56.789012',
            '2026-02-28 12:34:56.789012+02', '2026-02-28 12:34:56.5', '1 year 2 mons -3 days 04:05:06.789'),
        (2, 'infinity', '24:00:00', '24:00:00-15:59:59', 'infinity', 'infinity', '-infinity', '0'),
        (3, '-infinity', '00:00:00', '00:00:00+15:59:59', '-infinity', '-infinity', 'infinity', '-1 day +00:00:01'),
        (4, '0044-03-15 BC', '23:59:59.999999', '00:00:01-00:00:01', '4713-01-01 00:00:00 BC',
            '4713-01-02 00:00:00+00 BC', '0001-12-31 23:59:59 BC', '178000000 years'),
        (5, '20000-01-01', '00:00:00.000001', NULL, '294276-12-31 23:59:59.999999',
            '294276-12-31 23:59:59.999999+00', '20000-01-01', '-178000000 years'),
        (6, '5874897-12-31', NULL, NULL, '1999-12-31 23:59:59.999999', '2000-01-01 00:00:00+00', NULL, '1 mon'),
        (7, '4713-01-01 BC', NULL, NULL, NULL, '1969-07-20 20:17:40-04', NULL, '-00:00:00.000001')",
    )?;
    scene.sql(
        r#"INSERT INTO others VALUES
        ('00000000-0000-0000-0000-000000000000', '{"b": 1, "a": 2, "a": 3, "n": 1.10}', '{"b": 1, "a": 2, "a": 3, "n": 1.10}',
            '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'101', B'1', '(1.5,-2)',
            '{1,-1,0}', '[(0,0),(1,1)]', '((1,1),(0,0))', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(0,0),1>',
            'a fat cat:3A', 'fat & (cat | !rat)', '<a b="1">t</a>', '16/B374D848'),
        ('ffffffff-ffff-ffff-ffff-ffffffffffff', '[]', 'null', '::1', '2001:db8::/32', NULL, NULL, B'000', B'',
            '(Infinity,NaN)', NULL, NULL, NULL, '((0,0))', NULL, NULL, '', NULL, '', 'FFFFFFFF/FFFFFFFF'),
        ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', ' "\u00e9\\n" ', '"\u00e9\\n"', '0.0.0.0/0', NULL, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '0/0')"#,
    )?;
    scene.sql(
        r#"INSERT INTO collections VALUES
        (1, '{1,NULL,-3}', '{a,"b c",NULL,"NULL","","q\"\\",","}', '{{1,2},{3,4}}', '{ok,"it''s \"odd\""}',
            '[1,10)', '(,5.5]', '["2026-01-01 00:00:00+00",infinity)', '{[1,3),[7,9)}'),
        (2, '{}', '{}', '{}', '{}', 'empty', 'empty', 'empty', '{}'),
        (3, '[0:1]={7,8}', '{{a,b},{c,d}}', '[-1:0][2:3]={{1,2},{3,4}}', NULL, '(,)', '[0,0]', '(,)', '{(,)}')"#,
    )?;
    scene.sql(
        r#"INSERT INTO own VALUES
        (1, 'ok', 'x', 'label', ROW(1, 'a,"b"'), ARRAY[ROW(1, 'x'), ROW(NULL, '')]::pair[], '{one,"two words"}'),
        (2, 'it''s "odd"', NULL, '', ROW(NULL, NULL), '{}', NULL),
        (3, NULL, NULL, NULL, NULL, NULL, NULL)"#,
    )?;
    scene.sql("UPDATE own SET m = 'sad' WHERE id = 1; DELETE FROM own WHERE id = 3")
}

fn checks(_: Version) -> Vec<(&'static str, &'static str)> {
    let names = ["numbers", "texts", "times", "others", "collections", "own"];
    names.map(|name| (name, "true")).into()
}

fn must_show(_: Leg) -> &'static [&'static str] {
    &["Relation", "Type", "Insert", "Update", "Delete"]
}
