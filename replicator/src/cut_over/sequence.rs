//! What becomes of a sequence: pure, from both sides' catalogs to statements for the destination.

use std::fmt;

use walstream::quote_literal;

use crate::dialect::postgres::quoted;

/// A schema's name and that of something in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) schema: String,
    pub(crate) name: String,
}

impl Name {
    pub(crate) fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// A sequence as `pg_sequence` and its own row have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) name: Name,
    pub(crate) last: i64,
    /// Whether `last` was given out; the next one is it otherwise.
    pub(crate) called: bool,
    pub(crate) increment: i64,
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) cache: i64,
    pub(crate) cycles: bool,
}

/// Something that keeps the destination's sequences from being set, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) what: String,
    pub(crate) mend: String,
}

/// What there is to do about one sequence of the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It gives what the source's would give.
    Already,
    /// The destination's has gone further, and stays.
    Further,
    /// This sets it.
    Set(String),
}

impl Sequence {
    /// What it gives next, were there no bounds.
    pub(crate) const fn next(&self) -> i128 {
        let last = self.last as i128;
        if self.called {
            last + self.increment as i128
        } else {
            last
        }
    }

    /// What it gives next within its bounds, if it has any left or begins again.
    fn within(&self) -> Option<i64> {
        let next = i64::try_from(self.next()).ok();
        next.filter(|next| (self.min..=self.max).contains(next))
    }

    /// Whether it has gone further than the other, in the direction that both have.
    pub(crate) const fn is_beyond(&self, other: &Self) -> bool {
        if self.increment > 0 {
            self.next() > other.next()
        } else {
            self.next() < other.next()
        }
    }

    /// What to do about the destination's sequence `there`, so that it goes on where this one is.
    ///
    /// # Errors
    ///
    /// It cannot.
    pub(crate) fn onto(&self, there: &Self, back: bool) -> Result<Verdict, Problem> {
        let name = &there.name;
        if self.increment.signum() != there.increment.signum() {
            return Err(Problem {
                what: format!(
                    "sequence {name} of the destination goes the other way: by {}, and the source's {} by {}",
                    there.increment, self.name, self.increment
                ),
                mend: format!("ALTER SEQUENCE {name} INCREMENT BY {}", self.increment),
            });
        }
        if self.next() == there.next() {
            return Ok(Verdict::Already);
        }
        if there.is_beyond(self) && !back {
            return Ok(Verdict::Further);
        }
        // Where both count alike it is exactly as at the source, also at its end. Elsewhere the next value counts: with
        // another increment, what comes after the same last one would be another.
        let (value, called) = match self.within() {
            Some(next) if self.increment != there.increment => (next, false),
            _ => (self.last, self.called),
        };
        if !(there.min..=there.max).contains(&value) {
            return Err(Problem {
                what: format!(
                    "sequence {name} of the destination goes from {} to {}, and the source's {} is at {value}",
                    there.min, there.max, self.name
                ),
                mend: format!(
                    "ALTER SEQUENCE {name} AS bigint MINVALUE {} MAXVALUE {}",
                    self.min, self.max
                ),
            });
        }
        Ok(Verdict::Set(setval(name, value, called)))
    }

    /// Options with which a sequence of a type with these bounds goes on where this one is; and, where its first value
    /// is none that may be given out any more, that value.
    fn options(&self, least: i64, most: i64) -> (String, Option<i64>) {
        let (min, max) = (self.min.max(least), self.max.min(most));
        let (start, end) = match self.within() {
            Some(next) if (min..=max).contains(&next) => (next, None),
            _ => (self.last.clamp(min, max), Some(self.last.clamp(min, max))),
        };
        let cycle = if self.cycles { "CYCLE" } else { "NO CYCLE" };
        let options = format!(
            "START WITH {start} INCREMENT BY {} MINVALUE {min} MAXVALUE {max} CACHE {} {cycle}",
            self.increment, self.cache
        );
        (options, end)
    }
}

fn setval(name: &Name, value: i64, called: bool) -> String {
    let name = quote_literal(&name.to_string());
    format!(
        "SELECT pg_catalog.setval({}, {value}, {called})",
        name.trim_start()
    )
}

/// A column of a table at the destination that has a sequence at the source and none there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bare {
    pub(crate) table: Name,
    pub(crate) column: String,
    /// Its bounds, if it has one of the types that an identity may have.
    pub(crate) range: Option<(i64, i64)>,
    pub(crate) not_null: bool,
    /// A sequence that it is to share, or that is there by name already.
    pub(crate) shares: Option<Name>,
    /// Whether that one has to be made.
    pub(crate) makes: bool,
}

impl Bare {
    /// The statements that give it one, which goes on where the source's is.
    ///
    /// `BY DEFAULT`, whatever the source has: rows that come with their numbers, as those of a replication do, are taken.
    pub(crate) fn statements(&self, source: &Sequence) -> Vec<String> {
        let (table, column) = (&self.table, quoted(&self.column));
        let mut all = Vec::new();
        if let Some(shared) = &self.shares {
            if self.makes {
                let (options, end) = source.options(i64::MIN, i64::MAX);
                all.push(format!("CREATE SEQUENCE {shared} {options}"));
                all.extend(end.map(|end| setval(shared, end, true)));
            }
            let literal = quote_literal(&shared.to_string());
            all.push(format!(
                "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT pg_catalog.nextval({})",
                literal.trim_start()
            ));
            return all;
        }
        let (least, most) = self.range.unwrap_or((i64::MIN, i64::MAX));
        let (options, end) = source.options(least, most);
        let not_null = if self.not_null {
            String::new()
        } else {
            format!("ALTER COLUMN {column} SET NOT NULL, ")
        };
        all.push(format!(
            "ALTER TABLE {table} {not_null}ALTER COLUMN {column} ADD GENERATED BY DEFAULT AS IDENTITY ({options})"
        ));
        all.extend(end.map(|end| {
            let (table, column) = (
                quote_literal(&table.to_string()),
                quote_literal(&self.column),
            );
            format!(
                "SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence({}, {}), {end}, true)",
                table.trim_start(),
                column.trim_start()
            )
        }));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: i64, called: bool, increment: i64) -> Sequence {
        Sequence {
            name: Name::new("s", "q"),
            last,
            called,
            increment,
            min: if increment > 0 { 1 } else { -1000 },
            max: if increment > 0 { 1000 } else { -1 },
            cache: 1,
            cycles: false,
        }
    }

    fn set(value: i64, called: bool) -> Result<Verdict, Problem> {
        Ok(Verdict::Set(format!(
            r#"SELECT pg_catalog.setval('"s"."q"', {value}, {called})"#
        )))
    }

    #[test]
    fn one_that_is_behind_is_set_to_what_the_source_has() {
        assert_eq!(at(41, true, 1).onto(&at(1, false, 1), false), set(41, true));
        assert_eq!(
            at(41, false, 1).onto(&at(1, false, 1), false),
            set(41, false)
        );
        let end = at(1000, true, 1);
        assert_eq!(end.onto(&at(1, false, 1), false), set(1000, true));
    }

    #[test]
    fn a_descending_one_goes_down() {
        assert_eq!(
            at(-41, true, -1).onto(&at(-1, false, -1), false),
            set(-41, true)
        );
        assert_eq!(
            at(-41, true, -1).onto(&at(-50, true, -1), false),
            Ok(Verdict::Further)
        );
    }

    #[test]
    fn nothing_goes_back_unless_that_is_asked_for() {
        let (source, there) = (at(41, true, 1), at(60, true, 1));
        assert_eq!(source.onto(&there, false), Ok(Verdict::Further));
        assert_eq!(source.onto(&there, true), set(41, true));
    }

    #[test]
    fn the_same_next_value_is_the_same() {
        assert_eq!(
            at(41, true, 1).onto(&at(42, false, 1), false),
            Ok(Verdict::Already)
        );
    }

    /// A block of fifty was handed out with 51.
    #[test]
    fn with_another_increment_the_next_value_counts() {
        assert_eq!(
            at(51, true, 50).onto(&at(1, false, 1), false),
            set(101, false)
        );
    }

    #[test]
    fn what_cannot_be_set_is_told_with_its_remedy() {
        let problem = at(41, true, 1).onto(&at(-1, false, -1), false).unwrap_err();
        assert_eq!(problem.mend, r#"ALTER SEQUENCE "s"."q" INCREMENT BY 1"#);
        let mut narrow = at(1, false, 1);
        narrow.max = 10;
        let problem = at(41, true, 1).onto(&narrow, false).unwrap_err();
        assert!(problem.what.contains("from 1 to 10"), "{}", problem.what);
    }

    fn bare() -> Bare {
        Bare {
            table: Name::new("s", "t\"x"),
            column: "Id".into(),
            range: Some((i32::MIN.into(), i32::MAX.into())),
            not_null: true,
            shares: None,
            makes: false,
        }
    }

    #[test]
    fn a_column_gets_an_identity_that_goes_on() {
        assert_eq!(
            bare().statements(&at(41, true, 1)),
            [
                r#"ALTER TABLE "s"."t""x" ALTER COLUMN "Id" ADD GENERATED BY DEFAULT AS IDENTITY (START WITH 42 INCREMENT BY 1 MINVALUE 1 MAXVALUE 1000 CACHE 1 NO CYCLE)"#
            ]
        );
        let nullable = Bare {
            not_null: false,
            ..bare()
        };
        let all = nullable.statements(&at(41, true, 1));
        assert!(all[0].contains(r#"ALTER COLUMN "Id" SET NOT NULL, ALTER COLUMN "Id" ADD"#));
    }

    #[test]
    fn one_that_is_used_up_stays_so() {
        let all = bare().statements(&at(1000, true, 1));
        assert!(all[0].contains("START WITH 1000 "), "{all:?}");
        assert_eq!(
            all[1],
            r#"SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence('"s"."t""x"', 'Id'), 1000, true)"#
        );
    }

    #[test]
    fn columns_that_share_one_get_a_default() {
        let shared = Bare {
            shares: Some(Name::new("s", "it's")),
            makes: true,
            ..bare()
        };
        assert_eq!(
            shared.statements(&at(41, false, 1)),
            [
                r#"CREATE SEQUENCE "s"."it's" START WITH 41 INCREMENT BY 1 MINVALUE 1 MAXVALUE 1000 CACHE 1 NO CYCLE"#,
                r#"ALTER TABLE "s"."t""x" ALTER COLUMN "Id" SET DEFAULT pg_catalog.nextval('"s"."it''s"')"#,
            ]
        );
    }
}
