//! Values made of values: arrays, ranges, multiranges, composites.

use walproto::Column;
use walproto::value::{Array, BoxArray, Composite, Element, Multirange, Quoted, Range};

use crate::printed::sound;

/// How deep values are looked into; each level can double the work.
const DEPTH: usize = 4;

/// One value, read as each of the types in both forms, down to what it is made of.
pub fn nested(data: &[u8]) {
    for column in [Column::Text(data), Column::Binary(data)] {
        let element = column.value().expect("an element takes any column");
        for error in look(element, DEPTH) {
            sound(error, data);
        }
        match column.value::<BoxArray<'_>>() {
            Ok(array) => array_of(array.0, 0),
            Err(error) => sound(error, data),
        }
    }
}

/// Reads an element as everything it could be, and says what it is not.
fn look(element: Element<'_>, depth: usize) -> Vec<walproto::value::ValueError> {
    let mut errors = Vec::new();
    if let Element::Quoted(text) = element {
        quoted(text);
    }
    match element.value::<Array<'_>>() {
        Ok(array) => array_of(array, depth),
        Err(error) => errors.push(error),
    }
    match element.value::<Composite<'_>>() {
        Ok(composite) => {
            let fields = composite.fields();
            assert_eq!(fields.len(), composite.len());
            assert_eq!(fields.clone().count(), composite.len());
            if let Some(types) = composite.types() {
                assert_eq!(types.count(), composite.len());
            }
            inside(fields, depth);
            let mut typed = composite.fields();
            for _ in 0..composite.len() {
                let _ = typed.value::<Option<bool>>();
            }
            assert!(typed.value::<Element<'_>>().is_err(), "one field too many");
        }
        Err(error) => errors.push(error),
    }
    match element.value::<Range<Element<'_>>>() {
        Ok(range) => range_of(range, depth),
        Err(error) => errors.push(error),
    }
    match element.value::<Multirange<'_>>() {
        Ok(ranges) => {
            assert_eq!(ranges.ranges().count(), ranges.len());
            assert_eq!(ranges.values::<bool>().count(), ranges.len());
            for range in ranges.ranges() {
                assert!(!range.is_empty(), "a multirange has no empty ranges");
                range_of(range, depth);
            }
        }
        Err(error) => errors.push(error),
    }
    errors
}

fn array_of(array: Array<'_>, depth: usize) {
    // Lengths of any size can stand beside one of zero.
    let none = u64::from(!array.dims().is_empty());
    let lens = array.dims().iter().map(|dim| u64::from(dim.len));
    let product = lens.fold(none, u64::saturating_mul);
    assert_eq!(array.len() as u64, product, "{array:?}");
    assert_eq!(array.elements().count(), array.len());
    assert_eq!(array.values::<Option<bool>>().count(), array.len());
    inside(array.elements(), depth);
}

fn range_of(range: Range<Element<'_>>, depth: usize) {
    use std::ops::Bound;
    for bound in [range.lower(), range.upper()].into_iter().flatten() {
        if let Bound::Included(element) | Bound::Excluded(element) = bound {
            assert!(!element.is_null(), "a bound is a value or missing");
            inside([*element].into_iter(), depth);
        }
    }
    let _ = range.bounds::<bool>();
}

fn inside<'a>(elements: impl Iterator<Item = Element<'a>>, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    // The first ones are as good as all.
    for element in elements.take(8) {
        look(element, depth);
    }
}

/// Every way to take the escapes off comes to the same text.
fn quoted(text: Quoted<'_>) {
    let bytes: Vec<u8> = text.bytes().collect();
    assert_eq!(text.unescaped_len(), bytes.len());
    assert_eq!(text, bytes[..]);
    let mut buffer = vec![0; text.raw().len()];
    assert_eq!(text.unescape(&mut buffer), Ok(&bytes[..]));
    if let Some(short) = bytes.len().checked_sub(1) {
        let error = text.unescape(&mut buffer[..short]).expect_err("too short");
        assert_eq!(error.needed, bytes.len());
    }
    if let Some(plain) = text.as_plain() {
        assert_eq!(plain, bytes);
    }
    assert_eq!(text.to_string(), String::from_utf8_lossy(&bytes));
    assert_eq!(text.chars().collect::<String>(), text.to_string());
    let mut rest = text;
    for byte in &bytes {
        let (first, behind) = rest.split_first().expect("as many bytes as there are");
        assert_eq!(first, *byte);
        rest = behind;
    }
    assert!(rest.split_first().is_none());
}
