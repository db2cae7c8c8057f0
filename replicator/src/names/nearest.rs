//! What somebody who mistyped a name may have meant.

/// The name most like this one, if one is like it at all.
pub(crate) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let near = names.into_iter().map(|name| (distance(wanted, name), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    // Farther than that it is another name.
    let most = wanted.chars().count().max(3) / 2;
    (distance <= most).then_some(name)
}

/// How many letters have to be put in, taken out or exchanged; the case of a letter does not count.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (count, letter) in one.to_lowercase().chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], count + 1);
        for (at, theirs) in other.iter().enumerate() {
            let exchanged = before + usize::from(letter != *theirs);
            before = row[at + 1];
            row[at + 1] = exchanged.min(before + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted() {
        for (one, other, letters) in [
            ("", "", 0),
            ("", "abc", 3),
            ("orders", "order", 1),
            ("kitten", "sitting", 3),
            ("Orders", "orders", 0),
            ("naïve", "naive", 1),
        ] {
            assert_eq!(distance(one, other), letters, "{one} {other}");
            assert_eq!(distance(other, one), letters, "{other} {one}");
        }
    }

    #[test]
    fn what_is_not_alike_is_not_named() {
        let names = ["public.orders", "public.customers"];
        assert_eq!(nearest("public.order", names), Some("public.orders"));
        assert_eq!(nearest("Public.Customer", names), Some("public.customers"));
        assert_eq!(nearest("x.y", names), None);
        assert_eq!(nearest("x.y", []), None);
    }
}
