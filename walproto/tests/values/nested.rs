//! Values of random types, made of others to any depth, come out as they went in.

use std::fmt::Write as _;
use std::ops::Bound;

use testdata::workload::Random;
use walproto::Column;
use walproto::value::{Array, BoxArray, Composite, Element, Multirange, Quoted, Range, ValueError};

use crate::oracle::{self, Oracle, survives_junk};

/// Types per version, and values per type.
const TYPES: usize = 60;
const VALUES: usize = 60;

/// A type that other types can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaf {
    Text,
    Integer,
    Bytea,
    Timestamp,
    Point,
    Box,
}

#[derive(Clone, Debug)]
enum Type {
    Leaf(Leaf),
    Array(Box<Self>),
    Composite(String, Vec<Self>),
    Range(Leaf),
    Multirange(Leaf),
}

type Bounds = (Bound<String>, Bound<String>);

/// A value as it went in, or was read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tree {
    Null,
    Leaf(String),
    /// Length and lower bound per dimension, and all elements.
    Array(Vec<(u32, i32)>, Vec<Self>),
    Composite(Vec<Self>),
    Range(Option<Bounds>),
    Multirange(Vec<Bounds>),
}

impl Leaf {
    const ALL: [Self; 6] = [
        Self::Text,
        Self::Integer,
        Self::Bytea,
        Self::Timestamp,
        Self::Point,
        Self::Box,
    ];
    const ORDERED: [Self; 3] = [Self::Text, Self::Integer, Self::Timestamp];

    fn sql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "int4",
            Self::Bytea => "bytea",
            Self::Timestamp => "timestamp",
            Self::Point => "point",
            Self::Box => "box",
        }
    }

    fn random(self, random: &mut Random) -> String {
        let small = |random: &mut Random| random.below(19).cast_signed() - 9;
        match self {
            Self::Text => text(random),
            Self::Integer => small(random).to_string(),
            Self::Bytea => (0..random.below(4)).fold("\\x".into(), |hex, _| {
                format!("{hex}{:02x}", random.below(256))
            }),
            Self::Timestamp => moment(random.below(2_400_000)),
            Self::Point => format!("({},{})", small(random), small(random)),
            // The server puts the upper right corner first.
            Self::Box => {
                let (x, y) = (small(random), small(random));
                format!("({},{}),({x},{y})", x + 3, y + 1)
            }
        }
    }

    /// The text of a binary form.
    fn unpack(self, bytes: &[u8]) -> String {
        let numbers = || {
            let (numbers, _) = bytes.as_chunks();
            numbers.iter().map(|number| f64::from_be_bytes(*number))
        };
        let points = || {
            let numbers: Vec<f64> = numbers().collect();
            let pairs = numbers.chunks(2).map(|pair| match pair {
                [x, y] => format!("({x},{y})"),
                _ => "?".into(),
            });
            pairs.collect::<Vec<_>>().join(",")
        };
        match self {
            Self::Text => String::from_utf8_lossy(bytes).into_owned(),
            Self::Integer => bytes.try_into().map_or_else(
                |_| "?".into(),
                |number| i32::from_be_bytes(number).to_string(),
            ),
            Self::Bytea => bytes
                .iter()
                .fold("\\x".into(), |hex, byte| format!("{hex}{byte:02x}")),
            Self::Timestamp => bytes
                .try_into()
                .ok()
                .and_then(|micros| usize::try_from(i64::from_be_bytes(micros) / 1_000_000).ok())
                .map_or_else(|| "?".into(), moment),
            Self::Point | Self::Box => points(),
        }
    }
}

/// So many seconds after the beginning of 2000, for values in its January.
fn moment(seconds: usize) -> String {
    let (minutes, second) = (seconds / 60, seconds % 60);
    let (hours, minute) = (minutes / 60, minutes % 60);
    let (days, hour) = (hours / 24, hours % 24);
    format!("2000-01-{:02} {hour:02}:{minute:02}:{second:02}", days + 1)
}

/// Text that is in the way of every form of quoting.
fn text(random: &mut Random) -> String {
    const PIECES: [&str; 26] = [
        "\"",
        "\\",
        "\"",
        "\\",
        ",",
        ";",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        " ",
        "\t",
        "\n",
        "\r",
        "\u{b}",
        "NULL",
        "null",
        "é",
        "\u{10FFFF}",
        "a",
        "b",
        "'",
        "empty",
        "=",
    ];
    (0..random.below(6))
        .map(|_| *random.one_of(&PIECES))
        .collect()
}

impl Type {
    /// A random type; `depth` is how deep it may still go.
    fn random(random: &mut Random, depth: usize, new: &mut impl FnMut(&[Self]) -> String) -> Self {
        match random.below(if depth == 0 { 3 } else { 8 }) {
            0 => Self::Leaf(*random.one_of(&Leaf::ALL)),
            1 => Self::Range(*random.one_of(&Leaf::ORDERED)),
            2 => Self::Multirange(*random.one_of(&Leaf::ORDERED)),
            3..=5 => loop {
                let element = Self::random(random, depth - 1, new);
                if !matches!(element, Self::Array(_)) {
                    return Self::Array(element.into());
                }
            },
            _ => {
                let fields: Vec<Self> = (0..=random.below(3))
                    .map(|_| Self::random(random, depth - 1, new))
                    .collect();
                Self::Composite(new(&fields), fields)
            }
        }
    }

    fn sql(&self) -> String {
        match self {
            Self::Leaf(leaf) => leaf.sql().into(),
            Self::Array(element) => format!("{}[]", element.sql()),
            Self::Composite(name, _) => format!("pg_temp.{name}"),
            Self::Range(leaf) => format!("pg_temp.{}_range", leaf.sql()),
            Self::Multirange(leaf) => format!("pg_temp.{}_multirange", leaf.sql()),
        }
    }

    fn value(&self, random: &mut Random) -> Tree {
        match self {
            Self::Leaf(leaf) => Tree::Leaf(leaf.random(random)),
            Self::Array(element) => {
                let mut dims = Vec::new();
                if !random.once_in(6) {
                    let ndim = if random.once_in(4) {
                        random.below(7)
                    } else {
                        1
                    };
                    let bounded = random.once_in(4);
                    for _ in 0..ndim {
                        let len = 1 + random.below(if ndim < 3 { 4 } else { 2 });
                        let lower = if bounded {
                            random.below(9).cast_signed() - 4
                        } else {
                            1
                        };
                        dims.push((u32::try_from(len).unwrap(), i32::try_from(lower).unwrap()));
                    }
                }
                let len = match dims.as_slice() {
                    [] => 0,
                    dims => dims.iter().map(|(len, _)| len).product(),
                };
                let elements = (0..len).map(|_| element.or_null(random)).collect();
                Tree::Array(dims, elements)
            }
            Self::Composite(_, fields) => {
                Tree::Composite(fields.iter().map(|field| field.or_null(random)).collect())
            }
            Self::Range(_) if random.once_in(8) => Tree::Range(None),
            Self::Range(leaf) => Tree::Range(ranges(*leaf, random, 1).pop()),
            Self::Multirange(leaf) => {
                let count = random.below(4);
                Tree::Multirange(ranges(*leaf, random, count))
            }
        }
    }

    fn or_null(&self, random: &mut Random) -> Tree {
        match random.below(7) {
            0 => Tree::Null,
            _ => self.value(random),
        }
    }

    /// Reads a value without undoing escapes first.
    fn read(&self, element: Element<'_>) -> Result<Tree, ValueError> {
        if element.is_null() {
            return Ok(Tree::Null);
        }
        Ok(match self {
            Self::Leaf(leaf) => Tree::Leaf(read_leaf(*leaf, element)),
            Self::Array(of) => {
                let array = match **of {
                    Self::Leaf(Leaf::Box) => element.value::<BoxArray<'_>>()?.0,
                    _ => element.value()?,
                };
                read_array(&array, |element| of.read(element))?
            }
            Self::Composite(_, types) => {
                let composite: Composite<'_> = element.value()?;
                read_composite(&composite, types, |ty, field| ty.read(field))?
            }
            Self::Range(leaf) => Tree::Range(read_range(*leaf, element.value()?)),
            Self::Multirange(leaf) => {
                let ranges: Multirange<'_> = element.value()?;
                read_multirange(*leaf, &ranges)
            }
        })
    }

    /// Reads a value level by level, each with its escapes undone.
    fn read_unescaped(&self, element: Element<'_>) -> Result<Tree, ValueError> {
        let mut buffer = match element {
            Element::Quoted(text) => vec![0; text.raw().len()],
            _ => Vec::new(),
        };
        let element = element
            .unescape(&mut buffer)
            .expect("it is long enough")
            .value::<Element<'_>>()?;
        assert!(!matches!(element, Element::Quoted(_)));
        if element.is_null() {
            return Ok(Tree::Null);
        }
        Ok(match self {
            Self::Leaf(leaf) => Tree::Leaf(read_leaf(*leaf, element)),
            Self::Array(of) => {
                let array = match **of {
                    Self::Leaf(Leaf::Box) => element.value::<BoxArray<'_>>()?.0,
                    _ => element.value()?,
                };
                read_array(&array, |element| of.read_unescaped(element))?
            }
            Self::Composite(_, types) => {
                let composite: Composite<'_> = element.value()?;
                read_composite(&composite, types, |ty, field| ty.read_unescaped(field))?
            }
            Self::Range(leaf) => Tree::Range(read_range(*leaf, element.value()?)),
            Self::Multirange(leaf) => read_multirange(*leaf, &element.value()?),
        })
    }
}

/// So many ranges in order, with gaps between them.
fn ranges(leaf: Leaf, random: &mut Random, count: usize) -> Vec<Bounds> {
    let mut values: Vec<String> = (0..2 * count).map(|_| leaf.random(random)).collect();
    match leaf {
        Leaf::Integer => values.sort_by_key(|value| value.parse::<i32>().unwrap()),
        _ => values.sort(),
    }
    values.dedup();
    let mut ranges: Vec<Bounds> = values
        .chunks(2)
        .map(|pair| match pair {
            [lower, upper] => {
                let mut bound = |value: &String| match random.once_in(2) {
                    true => Bound::Included(value.clone()),
                    false => Bound::Excluded(value.clone()),
                };
                (bound(lower), bound(upper))
            }
            value => {
                let bound = || {
                    value
                        .first()
                        .cloned()
                        .map_or(Bound::Unbounded, Bound::Included)
                };
                (bound(), bound())
            }
        })
        .collect();
    if let Some((lower, _)) = ranges.first_mut()
        && random.once_in(4)
    {
        *lower = Bound::Unbounded;
    }
    if let Some((_, upper)) = ranges.last_mut()
        && random.once_in(4)
    {
        *upper = Bound::Unbounded;
    }
    ranges
}

fn read_leaf(leaf: Leaf, element: Element<'_>) -> String {
    match element {
        Element::Binary(bytes) => leaf.unpack(bytes),
        element => {
            let text: Quoted<'_> = element.value().expect("text is always read");
            let printed = text.to_string();
            assert_eq!(text.chars().collect::<String>(), printed);
            if let Some(plain) = text.as_plain() {
                assert_eq!(String::from_utf8_lossy(plain), printed);
            }
            let bytes: Vec<u8> = text.bytes().collect();
            assert_eq!(bytes.len(), text.unescaped_len());
            assert!(text == bytes[..] && bytes.len() <= text.raw().len());
            let mut buffer = vec![0; bytes.len()];
            assert_eq!(text.unescape(&mut buffer), Ok(&bytes[..]));
            if let Some(shorter) = bytes.len().checked_sub(1) {
                let error = text.unescape(&mut buffer[..shorter]).unwrap_err();
                assert_eq!(error.needed, bytes.len());
            }
            printed
        }
    }
}

fn read_array<'a>(
    array: &Array<'a>,
    mut read: impl FnMut(Element<'a>) -> Result<Tree, ValueError>,
) -> Result<Tree, ValueError> {
    let dims: Vec<(u32, i32)> = array
        .dims()
        .iter()
        .map(|dim| (dim.len, dim.lower))
        .collect();
    let product = match dims.as_slice() {
        [] => 0,
        dims => dims.iter().map(|&(len, _)| u64::from(len)).product(),
    };
    assert_eq!(array.len() as u64, product);
    let elements: Vec<Element<'a>> = array.elements().collect();
    assert_eq!(elements.len(), array.len(), "every element is there");
    let trees = elements
        .into_iter()
        .map(&mut read)
        .collect::<Result<_, _>>()?;
    Ok(Tree::Array(dims, trees))
}

fn read_composite<'a>(
    composite: &Composite<'a>,
    types: &[Type],
    mut read: impl FnMut(&Type, Element<'a>) -> Result<Tree, ValueError>,
) -> Result<Tree, ValueError> {
    let fields: Vec<Element<'a>> = composite.fields().collect();
    assert_eq!(fields.len(), composite.len(), "every field is there");
    if let Some(types) = composite.types() {
        assert_eq!(types.count(), composite.len());
    }
    // A broken value may have more fields than the type.
    let types = types
        .iter()
        .chain(std::iter::repeat(&Type::Leaf(Leaf::Text)));
    let fields = fields.into_iter().zip(types);
    Ok(Tree::Composite(
        fields
            .map(|(field, ty)| read(ty, field))
            .collect::<Result<_, _>>()?,
    ))
}

fn read_range(leaf: Leaf, range: Range<Element<'_>>) -> Option<Bounds> {
    let range = range.try_map(|bound| Ok::<_, ()>(read_leaf(leaf, bound)));
    match range.expect("leaves are always read") {
        Range::Empty => None,
        Range::Between(lower, upper) => Some((lower, upper)),
    }
}

fn read_multirange(leaf: Leaf, multirange: &Multirange<'_>) -> Tree {
    let ranges: Vec<Bounds> = multirange
        .ranges()
        .map(|range| read_range(leaf, range).expect("none is empty"))
        .collect();
    assert_eq!(ranges.len(), multirange.len(), "every range is there");
    Tree::Multirange(ranges)
}

impl Tree {
    /// Writes the value as the type's input function takes it, quoting all that can be quoted.
    fn input(&self, ty: &Type) -> String {
        let backslashed =
            |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        match (self, ty) {
            (Self::Leaf(text), _) => text.clone(),
            (Self::Array(dims, elements), Type::Array(of)) => {
                let mut out = String::new();
                if dims.iter().any(|&(_, lower)| lower != 1) {
                    for &(len, lower) in dims {
                        write!(out, "[{lower}:{}]", lower + len.cast_signed() - 1).unwrap();
                    }
                    out.push('=');
                }
                let words: Vec<String> = elements
                    .iter()
                    .map(|element| match element {
                        Self::Null => "NULL".into(),
                        element => backslashed(&element.input(of)),
                    })
                    .collect();
                let delimiter = match **of {
                    Type::Leaf(Leaf::Box) => ";",
                    _ => ",",
                };
                let mut level = words;
                for &(len, _) in dims.iter().rev() {
                    level = level
                        .chunks(usize::try_from(len).unwrap())
                        .map(|words| format!("{{{}}}", words.join(delimiter)))
                        .collect();
                }
                out.push_str(level.first().map_or("{}", String::as_str));
                out
            }
            (Self::Composite(fields), Type::Composite(_, types)) => {
                let words: Vec<String> = fields
                    .iter()
                    .zip(types)
                    .map(|(field, ty)| match field {
                        Self::Null => String::new(),
                        field => doubled(&field.input(ty)),
                    })
                    .collect();
                format!("({})", words.join(","))
            }
            (Self::Range(range), _) => range.as_ref().map_or_else(|| "empty".into(), range_input),
            (Self::Multirange(ranges), _) => {
                let words: Vec<String> = ranges.iter().map(range_input).collect();
                format!("{{{}}}", words.join(","))
            }
            other => panic!("no value of its type: {other:?}"),
        }
    }
}

fn doubled(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""))
}

fn range_input((lower, upper): &Bounds) -> String {
    let word = |bound: &Bound<String>| match bound {
        Bound::Included(value) | Bound::Excluded(value) => doubled(value),
        Bound::Unbounded => String::new(),
    };
    let open = if matches!(lower, Bound::Included(_)) {
        '['
    } else {
        '('
    };
    let close = if matches!(upper, Bound::Included(_)) {
        ']'
    } else {
        ')'
    };
    format!("{open}{},{}{close}", word(lower), word(upper))
}

fn make_ranges(oracle: &mut Oracle) {
    for leaf in Leaf::ORDERED {
        let name = leaf.sql();
        let collation = if leaf == Leaf::Text {
            ", collation = \"C\""
        } else {
            ""
        };
        oracle.run(&format!(
            "CREATE TYPE pg_temp.{name}_range AS RANGE
                (subtype = {name}{collation}, multirange_type_name = pg_temp.{name}_multirange)"
        ));
    }
}

/// A value that was cut off is always noticed.
fn no_part_is_a_value(ty: &Type, whole: Column<'_>) {
    let bytes = whole.as_bytes().unwrap();
    for len in 0..bytes.len() {
        let part = match whole {
            Column::Text(_) => Column::Text(&bytes[..len]),
            _ => Column::Binary(&bytes[..len]),
        };
        let read = part.value().and_then(|part| ty.read(part));
        let error = read.expect_err("it is cut off");
        assert!(error.offset as usize <= len, "{error}: {part:?}");
    }
}

#[test]
fn values_of_random_types_are_read_at_any_depth_without_a_buffer() {
    oracle::each(|oracle, random| {
        make_ranges(oracle);
        let mut made = 0;
        let mut values = 0;
        while made < TYPES {
            let mut statements = Vec::new();
            let mut new = |fields: &[Type]| {
                let name = format!("made_{made}_{}", statements.len());
                let fields: Vec<String> = fields
                    .iter()
                    .enumerate()
                    .map(|(at, ty)| format!("f{at} {}", ty.sql()))
                    .collect();
                statements.push(format!(
                    "CREATE TYPE pg_temp.{name} AS ({})",
                    fields.join(", ")
                ));
                name
            };
            let ty = Type::random(random, 3, &mut new);
            if matches!(ty, Type::Leaf(_)) {
                continue;
            }
            made += 1;
            for statement in statements {
                oracle.run(&statement);
            }
            let trees: Vec<Tree> = (0..VALUES).map(|_| ty.value(random)).collect();
            let inputs: Vec<String> = trees.iter().map(|tree| tree.input(&ty)).collect();
            let answers = oracle.ask(&ty.sql(), &inputs, &[]);
            assert_eq!(answers.len(), trees.len(), "{ty:?}");
            for (answer, tree) in answers.iter().zip(&trees) {
                for form in answer.forms() {
                    let read = form.value().and_then(|whole| ty.read(whole));
                    assert_eq!(read.as_ref(), Ok(tree), "{ty:?}: {answer:?}");
                    assert_eq!(
                        form.value().and_then(|whole| ty.read_unescaped(whole)),
                        read
                    );
                }
            }
            values += answers.len();
            for answer in &answers[..5] {
                for form in answer.forms() {
                    no_part_is_a_value(&ty, form);
                }
            }
            survives_junk(&answers[..12], random, |column| {
                let read = column.value().and_then(|whole| ty.read(whole));
                let unescaped = column.value().and_then(|whole| ty.read_unescaped(whole));
                assert_eq!(read.as_ref().ok(), unescaped.as_ref().ok(), "{column:?}");
                read
            });
        }
        eprintln!("{}: {values} values of {made} types", oracle.version());
    });
}
