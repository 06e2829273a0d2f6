//! `[[check]]`.

use std::ops::Range;
use std::time::Duration;

use toml::de::DeTable;

use super::actions::unit_name;
use super::rules;
use super::table::{File, Key, Table, key};
use crate::diagnostics::{closest, listed};
use crate::recipe::{Condition, PathKind};

/// What a check of each kind may hold besides the kind itself.
const KINDS: &[(Key, &[Key])] = &[
    (
        key("path", "\"/srv/app\""),
        &[
            key("owner", "\"www-data\""),
            key("group", "\"www-data\""),
            key("mode", "\"0750\""),
            key("type", "\"directory\""),
        ],
    ),
    (
        key("service", "\"nginx\""),
        &[key("active", "true"), key("enabled", "true")],
    ),
    (key("port", "80"), &[]),
    (
        key("http", "\"http://127.0.0.1/health\""),
        &[key("status", "200"), key("contains", "\"ok\"")],
    ),
    (
        key("command", "\"nginx -t\""),
        &[key("user", "\"www-data\"")],
    ),
];

const COMMON: &[Key] = &[key("timeout", "\"30s\"")];

/// How long a condition may take to become true if the check does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A check without the recipe that it stands in.
#[derive(Debug)]
pub(in crate::recipe) struct Check {
    pub(in crate::recipe) timeout: Duration,
    pub(in crate::recipe) condition: Condition,
}

pub(super) fn read_checks(file: &File, tables: Vec<(Range<usize>, &DeTable<'_>)>) -> Vec<Check> {
    tables
        .into_iter()
        .filter_map(|(span, entries)| read_check(file, span, entries))
        .collect()
}

fn read_check(file: &File, span: Range<usize>, entries: &DeTable<'_>) -> Option<Check> {
    let names = KINDS.iter().map(|(k, _)| k.name);
    let given: Vec<&str> = names
        .clone()
        .filter(|name| entries.contains_key(*name))
        .collect();
    let [kind] = given.as_slice() else {
        let strange = entries
            .keys()
            .find(|name| !names.clone().any(|n| n == name.get_ref()) && name.get_ref() != "timeout")
            .filter(|_| given.is_empty());
        let problem = file.problem(
            strange.map_or(span, toml::Spanned::span),
            "a check must look at one thing",
            format!("looks at {}", listed(given.iter().copied(), "and")),
        );
        let meant = strange.and_then(|name| closest(name.get_ref(), names.clone()));
        file.report(match meant {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem.help(format!("the kinds are {}", listed(names, "and"))),
        });
        return None;
    };
    let (kind, own) = KINDS.iter().find(|(k, _)| k.name == *kind)?;
    let keys: Vec<Key> = [*kind].iter().chain(*own).chain(COMMON).copied().collect();
    let title = format!("this `{}` check", kind.name);
    let table = Table::strict(file, title, span, entries, &keys);
    let timeout = table.duration("timeout").unwrap_or(DEFAULT_TIMEOUT);
    let condition = read_condition(kind.name, &table)?;
    Some(Check { timeout, condition })
}

fn read_condition(kind: &str, table: &Table<'_>) -> Option<Condition> {
    Some(match kind {
        "path" => Condition::Path {
            owner: table.ruled_string("owner", rules::account),
            group: table.ruled_string("group", rules::account),
            mode: table.parsed("mode", rules::mode),
            kind: table.one_of(
                "type",
                &[("file", PathKind::File), ("directory", PathKind::Directory)],
            ),
            path: table.ruled_string("path", rules::absolute_path)?,
        },
        "service" => Condition::Service {
            active: table.boolean("active").unwrap_or(true),
            enabled: table.boolean("enabled").unwrap_or(true),
            name: unit_name(&table.ruled_string("service", rules::unit)?),
        },
        "port" => Condition::Port(table.integer("port", 1..=65_535)?.try_into().ok()?),
        "http" => {
            let status = if table.has("status") {
                table.integer("status", 100..=599)?.try_into().ok()?
            } else {
                200
            };
            Condition::Http {
                status,
                contains: table.string("contains").map(toml::Spanned::into_inner),
                url: table.ruled_string("http", rules::url)?,
            }
        }
        _ => Condition::Command {
            user: table
                .ruled_string("user", rules::account)
                .unwrap_or_else(|| "root".into()),
            command: table.string("command")?.into_inner(),
        },
    })
}
