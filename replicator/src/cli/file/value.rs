//! A value of a configuration file as the arguments that say the same.

use std::any::TypeId;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction};
use toml::Spanned;
use toml::de::DeValue;

use super::Span;
use crate::log::redact;
use crate::names::{Part, nearest};

/// Why a value cannot be an option's.
pub(super) struct Wrong {
    /// The byte of the file that it is about.
    pub(super) at: usize,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

/// What an option takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// On or off.
    Switch,
    Integer,
    /// One text, or several.
    List,
    /// From one text to another.
    Map,
    Text,
}

impl Kind {
    fn of(arg: &Arg) -> Self {
        let parser = arg.get_value_parser().type_id();
        let integer = [
            TypeId::of::<u8>(),
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
        ];
        let pair = |names: &[clap::builder::Str]| names.iter().any(|name| name.contains('='));
        match arg.get_action() {
            ArgAction::SetTrue | ArgAction::SetFalse => Self::Switch,
            ArgAction::Append if arg.get_value_names().is_some_and(pair) => Self::Map,
            ArgAction::Append => Self::List,
            _ if integer.iter().any(|it| parser == *it) => Self::Integer,
            _ => Self::Text,
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Switch => "true or false",
            Self::Integer => "an integer, without quotes",
            Self::List => "a list of texts, such as [\"one\", \"two\"]",
            Self::Map => "a table of texts, such as { from = \"to\" }",
            Self::Text => "a text in quotes",
        }
    }
}

/// Whether an option takes an integer, as far as its type tells.
pub(in crate::cli) fn is_integer(arg: &Arg) -> bool {
    Kind::of(arg) == Kind::Integer
}

/// What follows `--name=` in each of the arguments, or nothing where that is all of one.
pub(super) fn texts(
    arg: &Arg,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<Option<String>>, Box<Wrong>> {
    let kind = Kind::of(arg);
    let texts = match (kind, value.get_ref()) {
        (Kind::Switch, DeValue::Boolean(true)) => return Ok(vec![None]),
        (Kind::Switch, DeValue::Boolean(false)) => return Ok(Vec::new()),
        (Kind::Integer, DeValue::Integer(number)) => {
            vec![(
                decimal(number.as_str(), number.radix(), &value.span())?,
                value.span(),
            )]
        }
        // What has a unit is a text.
        (Kind::Integer, DeValue::String(text)) if !is_number(text) => {
            vec![(text.clone().into_owned(), value.span())]
        }
        (Kind::Text | Kind::List | Kind::Map, DeValue::String(text)) => {
            vec![(text.clone().into_owned(), value.span())]
        }
        (Kind::Text, DeValue::Boolean(on)) if let Some(word) = word(arg, *on) => {
            vec![(word.to_owned(), value.span())]
        }
        (Kind::List | Kind::Map, DeValue::Array(items)) => {
            let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                DeValue::String(text) => Ok((text.clone().into_owned(), item.span())),
                other => Err(wrong_type(&item.span(), "a text in quotes", other)),
            };
            items.iter().map(text).collect::<Result<_, _>>()?
        }
        (Kind::Map, DeValue::Table(_)) => {
            let mut pairs = Vec::new();
            flatten(value, None, &mut pairs)?;
            pairs
        }
        (_, other) => return Err(wrong_type(&value.span(), kind.expected(), other)),
    };
    texts
        .into_iter()
        .map(|(text, span)| {
            check(arg, &text, &span)?;
            Ok(Some(text))
        })
        .collect()
}

fn wrong_type(span: &Span, expected: &str, found: &DeValue<'_>) -> Box<Wrong> {
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Box::new(Wrong {
        at: span.start,
        what: format!("expected {expected}, found {found}"),
        hint: None,
    })
}

fn is_number(text: &str) -> bool {
    let digits = text.trim().trim_start_matches(['+', '-']);
    !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit())
}

fn decimal(digits: &str, radix: u32, span: &Span) -> Result<String, Box<Wrong>> {
    match i128::from_str_radix(digits, radix) {
        Ok(number) => Ok(number.to_string()),
        Err(_) => Err(Box::new(Wrong {
            at: span.start,
            what: "the number is out of range".to_owned(),
            hint: None,
        })),
    }
}

/// What `true` and `false` are called where there is a third way.
fn word(arg: &Arg, on: bool) -> Option<&'static str> {
    let known = |name: &str| {
        arg.get_possible_values()
            .iter()
            .any(|value| value.matches(name, false))
    };
    let pairs = [("yes", "no"), ("on", "off")];
    let pair = pairs.into_iter().find(|(yes, no)| known(yes) && known(no));
    pair.map(|(yes, no)| if on { yes } else { no })
}

/// `{ shop.orders = "archive.orders" }` as `shop.orders=archive.orders`. A key in quotes is a name as options have it.
fn flatten(
    value: &Spanned<DeValue<'_>>,
    name: Option<&str>,
    pairs: &mut Vec<(String, Span)>,
) -> Result<(), Box<Wrong>> {
    match (value.get_ref(), name) {
        (DeValue::Table(table), _) => {
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_by_key(|(key, _)| key.span().start);
            for (key, value) in entries {
                let inner = &**key.get_ref();
                let whole = match (name, value.get_ref()) {
                    (Some(outer), _) => format!("{outer}.{}", Part(inner)),
                    (None, DeValue::Table(_)) => Part(inner).to_string(),
                    (None, _) => inner.to_owned(),
                };
                flatten(value, Some(&whole), pairs)?;
            }
            Ok(())
        }
        (DeValue::String(to), Some(from)) => {
            pairs.push((format!("{from}={to}"), value.span()));
            Ok(())
        }
        (other, _) => Err(wrong_type(&value.span(), "a text in quotes", other)),
    }
}

/// Lets the option itself say whether it takes this.
fn check(arg: &Arg, text: &str, span: &Span) -> Result<(), Box<Wrong>> {
    let mut probe = Arg::new("value")
        .long("value")
        .action(ArgAction::Append)
        .value_parser(arg.get_value_parser().clone());
    probe = probe.value_delimiter(arg.get_value_delimiter());
    let command = clap::Command::new("probe")
        .no_binary_name(true)
        .disable_help_flag(true)
        .arg(probe);
    let Err(error) = command.try_get_matches_from([format!("--value={text}")]) else {
        return Ok(());
    };
    // A value that may hold a secret is never said again.
    let secret = arg.is_hide_env_values_set();
    let shown = if secret {
        "this".to_owned()
    } else {
        redact(&format!("{text:?}"))
    };
    let names: Vec<String> = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(names)) => names.clone(),
        _ => Vec::new(),
    };
    let source = std::error::Error::source(&error).map(|source| redact(&source.to_string()));
    let what = match (error.kind(), source) {
        (ErrorKind::InvalidValue, _) if text.is_empty() => "a value is missing".to_owned(),
        (ErrorKind::InvalidValue, _) if !names.is_empty() => {
            format!("{shown} is none of {}", names.join(", "))
        }
        (_, Some(source)) if !secret => format!("{shown} cannot be used: {source}"),
        _ => format!("{shown} cannot be used"),
    };
    let near = nearest(text, names.iter().map(|name| &**name));
    Err(Box::new(Wrong {
        at: span.start,
        what,
        hint: near.map(|name| format!("the nearest is {name:?}")),
    }))
}
