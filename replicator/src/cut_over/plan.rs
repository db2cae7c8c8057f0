//! Which of the destination's sequences goes on for which of the source's, and what there is to do about each: pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use walstream::walproto::Oid;

use super::Missing;
use super::catalog::Used;
use super::sequence::{Bare, Name, Problem, Sequence, Verdict};

/// A sequence of the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct There {
    pub(crate) sequence: Sequence,
    /// Tables and columns that take their values from it, or that own it.
    pub(crate) columns: Vec<(Name, String)>,
    /// Whether we may read and set it.
    pub(crate) may_set: bool,
}

/// A column of the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnThere {
    pub(crate) not_null: bool,
    /// Its bounds, if it has one of the types that an identity may have.
    pub(crate) range: Option<(i64, i64)>,
    pub(crate) default: Option<String>,
}

/// A table that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub(crate) schema: String,
    pub(crate) there: Name,
    /// The first column of its key: of that the largest value is found at once.
    pub(crate) key: Option<String>,
}

/// What both sides have.
pub(crate) struct Sides<'a> {
    pub(crate) followed: &'a HashMap<Oid, Followed>,
    pub(crate) source: &'a [Used],
    pub(crate) there: &'a [There],
    pub(crate) columns: &'a HashMap<(Name, String), ColumnThere>,
}

/// What a cut-over does about a sequence or column of the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is about, at the destination.
    pub about: String,
    /// The source's sequence.
    pub source: String,
    /// In words.
    pub what: String,
    /// What is run there; none where there is nothing to do.
    pub statements: Vec<String>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            about,
            source,
            what,
            ..
        } = self;
        write!(f, "{about} (at the source {source}): {what}")
    }
}

/// What there is to do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) problems: Vec<Problem>,
    /// First columns of keys at the destination that take their values from a sequence, as that will be.
    pub(crate) served: Vec<Served>,
}

/// A column of the destination, and its sequence as it will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) table: Name,
    pub(crate) column: String,
    pub(crate) sequence: Sequence,
}

/// A sequence of the destination, and all of the source's that go on in it.
type Goals<'a> = BTreeMap<Name, (&'a There, Vec<&'a Sequence>)>;

/// Pairs them by column where a column of a followed table takes its values from one at both sides, else by name.
pub(crate) fn plan(sides: &Sides<'_>, missing: Missing, back: bool) -> Plan {
    let mut plan = Plan::default();
    let mut goals = Goals::new();
    let mut bare: Vec<(&Used, Name, String)> = Vec::new();
    let mut keys: Vec<(Name, Name, String)> = Vec::new();
    let mut nameless: Vec<&Used> = Vec::new();
    for used in sides.source {
        let mut found = false;
        for (table, column) in &used.columns {
            let Some(table) = sides.followed.get(table) else {
                continue;
            };
            let place = (table.there.clone(), column.clone());
            let is_key = table.key.as_ref() == Some(column)
                && sides
                    .columns
                    .get(&place)
                    .is_some_and(|it| it.range.is_some());
            let mut any = false;
            for there in sides.there.iter().filter(|it| it.columns.contains(&place)) {
                let goal = goals.entry(there.sequence.name.clone());
                goal.or_insert((there, Vec::new())).1.push(&used.sequence);
                if is_key {
                    keys.push((
                        there.sequence.name.clone(),
                        place.0.clone(),
                        place.1.clone(),
                    ));
                }
                any = true;
            }
            if any {
                found = true;
            } else if sides.columns.contains_key(&place) {
                bare.push((used, place.0, place.1));
            }
        }
        if !found {
            nameless.push(used);
        }
    }
    // One that a column has shown to be another's counterpart is nobody else's.
    let taken: BTreeSet<Name> = goals.keys().cloned().collect();
    for used in nameless {
        for schema in schemas(sides, &used.sequence.name.schema) {
            let name = Name::new(schema, &*used.sequence.name.name);
            let there = sides.there.iter().find(|it| it.sequence.name == name);
            if let Some(there) = there.filter(|_| !taken.contains(&name)) {
                let goal = goals.entry(name).or_insert((there, Vec::new()));
                goal.1.push(&used.sequence);
            }
        }
    }
    for (name, (there, sources)) in &goals {
        let Some(sequence) = plan.pair(name, there, sources, back) else {
            continue;
        };
        for (_, table, column) in keys.iter().filter(|(of, ..)| of == name) {
            plan.served.push(Served {
                table: table.clone(),
                column: column.clone(),
                sequence: sequence.clone(),
            });
        }
    }
    let mut made = BTreeSet::new();
    for (used, table, column) in bare {
        plan.bare(sides, used, &table, &column, missing, &mut made);
    }
    plan
}

impl Plan {
    /// The one that goes on from then, if it can.
    fn pair(
        &mut self,
        name: &Name,
        there: &There,
        sources: &[&Sequence],
        back: bool,
    ) -> Option<Sequence> {
        // Where several go on in one, the one that is furthest counts.
        let furthest = sources
            .iter()
            .copied()
            .reduce(|one, other| if other.is_beyond(one) { other } else { one });
        let source = furthest?;
        if !there.may_set {
            self.problems.push(Problem {
                what: format!("our role may not read and set sequence {name} of the destination"),
                mend: format!(
                    "GRANT SELECT, UPDATE ON SEQUENCE {name} TO the role of --destination"
                ),
            });
            return None;
        }
        let mut goes_on = source;
        let (what, statements) = match source.onto(&there.sequence, back) {
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
            Ok(Verdict::Already) => (
                format!("goes on with {} already", source.next()),
                Vec::new(),
            ),
            Ok(Verdict::Further) => {
                goes_on = &there.sequence;
                let what = format!(
                    "goes on with {}, which is further than the source's {}, and stays; --set-back sets it to that",
                    there.sequence.next(),
                    source.next()
                );
                (what, Vec::new())
            }
            Ok(Verdict::Set(sql)) => (
                format!(
                    "goes on with {} instead of {}",
                    source.next(),
                    there.sequence.next()
                ),
                vec![sql],
            ),
        };
        self.steps.push(Step {
            about: format!("sequence {name}"),
            source: source.name.to_string(),
            what,
            statements,
        });
        Some(goes_on.clone())
    }

    /// A column that has none.
    fn bare(
        &mut self,
        sides: &Sides<'_>,
        used: &Used,
        table: &Name,
        column: &str,
        missing: Missing,
        made: &mut BTreeSet<Name>,
    ) {
        let place = (table.clone(), column.to_owned());
        let Some(found) = sides.columns.get(&place) else {
            return;
        };
        let about = format!("column {column:?} of table {table}");
        let source = used.sequence.name.to_string();
        if let Some(default) = &found.default {
            self.steps.push(Step {
                about,
                source,
                what: format!("has a default of its own, {default}, and stays as it is"),
                statements: Vec::new(),
            });
            return;
        }
        // Under its own name, beside the first table: all columns that share it are to find the same one.
        let schemas = schemas(sides, &used.sequence.name.schema);
        let mut names = schemas
            .iter()
            .map(|schema| Name::new(&**schema, &*used.sequence.name.name));
        let there = names.find(|name| sides.there.iter().any(|it| it.sequence.name == *name));
        let alone = used.columns.len() == 1 && found.range.is_some();
        let shares = match there {
            Some(name) => Some((name, false)),
            None if alone => None,
            None => {
                let schema = schemas.first().unwrap_or(&table.schema);
                let name = Name::new(&**schema, &*used.sequence.name.name);
                let makes = made.insert(name.clone());
                Some((name, makes))
            }
        };
        let makes = shares.as_ref().is_some_and(|(_, makes)| *makes);
        let bare = Bare {
            table: table.clone(),
            column: column.to_owned(),
            range: found.range,
            not_null: found.not_null,
            shares: shares.map(|(name, _)| name),
            makes,
        };
        let statements = bare.statements(&used.sequence);
        match missing {
            Missing::Make => {
                self.steps.push(Step {
                    about,
                    source,
                    what: format!(
                        "has a sequence now, which goes on with {}",
                        used.sequence.next()
                    ),
                    statements,
                });
            }
            Missing::Leave => self.steps.push(Step {
                about,
                source,
                what: format!(
                    "has no sequence; this makes one: {}",
                    statements.join("; ")
                ),
                statements: Vec::new(),
            }),
            Missing::Refuse => self.problems.push(Problem {
                what: format!(
                    "{about} has no sequence at the destination, and {source} at the source gives its values"
                ),
                mend: statements.join("; "),
            }),
        }
    }
}

/// The schemas at the destination that hold tables of this one of the source; without such the same.
fn schemas(sides: &Sides<'_>, schema: &str) -> Vec<String> {
    let of = sides.followed.values().filter(|it| it.schema == schema);
    let mut all: Vec<String> = of.map(|it| it.there.schema.clone()).collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        all.push(schema.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(name: Name, last: i64) -> Sequence {
        Sequence {
            name,
            last,
            called: true,
            increment: 1,
            min: 1,
            max: i64::MAX,
            cache: 1,
            cycles: false,
        }
    }

    fn followed() -> HashMap<Oid, Followed> {
        let table = |there: &str| Followed {
            schema: "shop".into(),
            there: Name::new("target", there),
            key: Some("id".into()),
        };
        HashMap::from([(Oid(1), table("b")), (Oid(2), table("a"))])
    }

    fn used(name: &str, last: i64, table: u32) -> Used {
        Used {
            sequence: sequence(Name::new("shop", name), last),
            columns: vec![(Oid(table), "id".into())],
        }
    }

    fn there(name: &str, table: &str) -> There {
        There {
            sequence: sequence(Name::new("target", name), 1),
            columns: vec![(Name::new("target", table), "id".into())],
            may_set: true,
        }
    }

    fn column(table: &str) -> ((Name, String), ColumnThere) {
        let there = ColumnThere {
            not_null: true,
            range: Some((i64::MIN, i64::MAX)),
            default: None,
        };
        ((Name::new("target", table), "id".into()), there)
    }

    fn statements(plan: &Plan) -> Vec<&str> {
        let all = plan.steps.iter().flat_map(|step| &step.statements);
        all.map(String::as_str).collect()
    }

    /// Tables a and b have changed their names on the way.
    #[test]
    fn a_column_tells_more_than_a_name() {
        let (followed, source) = (
            followed(),
            [used("a_id_seq", 10, 1), used("b_id_seq", 20, 2)],
        );
        let there = [there("a_id_seq", "a"), there("b_id_seq", "b")];
        let columns = HashMap::from([column("a"), column("b")]);
        let sides = Sides {
            followed: &followed,
            source: &source,
            there: &there,
            columns: &columns,
        };
        let plan = plan(&sides, Missing::Refuse, false);
        assert_eq!(
            statements(&plan),
            [
                r#"SELECT pg_catalog.setval('"target"."a_id_seq"', 20, true)"#,
                r#"SELECT pg_catalog.setval('"target"."b_id_seq"', 10, true)"#
            ]
        );
    }

    #[test]
    fn of_several_in_one_the_furthest_counts() {
        let (followed, source) = (followed(), [used("x", 30, 1), used("y", 20, 2)]);
        let mut shared = there("all", "a");
        shared.columns.push((Name::new("target", "b"), "id".into()));
        let columns = HashMap::from([column("a"), column("b")]);
        let sides = Sides {
            followed: &followed,
            source: &source,
            there: &[shared],
            columns: &columns,
        };
        let plan = plan(&sides, Missing::Refuse, false);
        assert_eq!(
            statements(&plan),
            [r#"SELECT pg_catalog.setval('"target"."all"', 30, true)"#]
        );
    }

    #[test]
    fn a_column_without_one_is_for_the_user_to_decide() {
        let (followed, source) = (followed(), [used("x", 30, 1)]);
        let columns = HashMap::from([column("b")]);
        let sides = Sides {
            followed: &followed,
            source: &source,
            there: &[],
            columns: &columns,
        };
        let refused = plan(&sides, Missing::Refuse, false);
        assert_eq!((refused.problems.len(), statements(&refused).len()), (1, 0));
        let left = plan(&sides, Missing::Leave, false);
        assert!(left.problems.is_empty() && statements(&left).is_empty());
        let made = plan(&sides, Missing::Make, false);
        assert!(statements(&made)[0].contains("AS IDENTITY (START WITH 31 "));
    }

    #[test]
    fn columns_that_share_one_share_the_one_that_is_made() {
        let mut shared = used("ids", 7, 1);
        shared.columns.push((Oid(2), "id".into()));
        let columns = HashMap::from([column("a"), column("b")]);
        let sides = Sides {
            followed: &followed(),
            source: &[shared],
            there: &[],
            columns: &columns,
        };
        let made = plan(&sides, Missing::Make, false);
        let all = statements(&made);
        assert!(all[0].starts_with(r#"CREATE SEQUENCE "target"."ids" START WITH 8 "#));
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[1..].iter().all(|sql| sql.contains("SET DEFAULT")));
    }
}
