//! `[[layer]]` and `[[layer.step]]`.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;

use super::actions;
use super::table::{File, Key, Table, key};
use crate::diagnostics::{closest, listed};
use crate::recipe::{Action, Step};

pub(super) const LAYER: &[Key] = &[
    key("name", "\"system\""),
    key("step", "[{ apt = [\"nginx\"] }]"),
];

/// What a step of each kind may hold besides the kind itself.
const KINDS: &[(Key, &[Key])] = &[
    (key("apt", "[\"nginx\"]"), &[key("upgrade", "\"dist\"")]),
    (key("run", "\"systemctl restart nginx\""), RUNNING),
    (
        key("script", "\"scripts/setup.sh\""),
        &[
            key("args", "[\"--verbose\"]"),
            RUNNING[0],
            RUNNING[1],
            RUNNING[2],
        ],
    ),
    (key("upload", "{ from = \"src/\", to = \"/srv/app\" }"), &[]),
    (
        key(
            "template",
            "{ from = \"files/app.conf\", to = \"/etc/app.conf\" }",
        ),
        &[],
    ),
    (
        key(
            "service",
            "{ name = \"app\", unit = \"files/app.service\" }",
        ),
        &[],
    ),
];

const RUNNING: &[Key] = &[
    key("user", "\"www-data\""),
    key("env", "{ LANG = \"C.UTF-8\" }"),
    key("cwd", "\"/srv/app\""),
];

const COMMON: &[Key] = &[
    key("name", "\"install the packages\""),
    key("timeout", "\"10m\""),
];

/// A layer as far as it could be read.
#[derive(Debug)]
pub(in crate::recipe) struct Layer {
    pub(in crate::recipe) name: String,
    pub(in crate::recipe) steps: Vec<Step>,
}

/// Layers in order. `agent` is where the recipe has an agent, whose layer has a name already.
pub(super) fn read_layers(
    file: &File,
    tables: Vec<(Range<usize>, &DeTable<'_>)>,
    agent: Option<Range<usize>>,
) -> Vec<Layer> {
    let mut names: BTreeMap<String, Range<usize>> = BTreeMap::new();
    names.extend(agent.map(|span| (crate::recipe::agent::LAYER.to_owned(), span)));
    let mut layers = Vec::new();
    for (span, entries) in tables {
        let table = Table::strict(file, "[[layer]]", span.clone(), entries, LAYER);
        let name = table.required_string("name");
        if let Some(name) = &name {
            if name.get_ref().trim().is_empty() {
                table.breach("name", name.span(), "must not be empty");
            } else if let Some(first) = names.get(name.get_ref()) {
                let problem = file.problem(
                    name.span(),
                    format!("two layers are called `{}`", name.get_ref()),
                    "the second one",
                );
                file.report(problem.context(first.clone(), "the first one"));
            } else {
                names.insert(name.get_ref().clone(), name.span());
            }
        }
        let name = name.map_or_else(String::new, toml::Spanned::into_inner);
        let tables = table.tables("step");
        if tables.is_empty() {
            file.report(
                file.problem(
                    span,
                    format!("the layer `{name}` has no steps"),
                    "nothing to do in this layer",
                )
                .help(
                    "add a [[layer.step]] with one of apt, run, script, upload, template, service",
                ),
            );
        }
        let steps = tables
            .into_iter()
            .filter_map(|(span, entries)| read_step(file, span, entries))
            .collect();
        layers.push(Layer { name, steps });
    }
    layers
}

fn read_step(file: &File, span: Range<usize>, entries: &DeTable<'_>) -> Option<Step> {
    let kind = the_kind(file, span.clone(), entries)?;
    let (kind, own) = KINDS.iter().find(|(k, _)| k.name == kind)?;
    let keys: Vec<Key> = [*kind].iter().chain(*own).chain(COMMON).copied().collect();
    let table = Table::open(
        file,
        format!("this `{}` step", kind.name),
        span,
        entries,
        &keys,
    );
    for name in table.unknown_keys() {
        let elsewhere = KINDS
            .iter()
            .find(|(_, keys)| keys.iter().any(|k| k.name == name.get_ref()));
        match elsewhere {
            None => table.report_unknown(name),
            Some((other, _)) => file.report(file.problem(
                name.span(),
                format!("a `{}` step takes no `{}`", kind.name, name.get_ref()),
                format!("only `{}` steps take it", other.name),
            )),
        }
    }
    let title = table.string("name").map(toml::Spanned::into_inner);
    let timeout = table.duration("timeout");
    let action = match kind.name {
        "apt" => actions::read_apt(&table).map(Action::Apt),
        "run" => actions::read_run(&table).map(Action::Run),
        "script" => actions::read_script(&table).map(Action::Run),
        "upload" => actions::read_upload(&table).map(Action::Upload),
        "template" => actions::read_template(&table).map(Action::Template),
        _ => actions::read_service(&table).map(Action::Service),
    }?;
    Some(Step {
        title: title.unwrap_or_else(|| action.title()),
        timeout,
        action,
    })
}

/// The one kind that a step must have.
fn the_kind(file: &File, span: Range<usize>, entries: &DeTable<'_>) -> Option<&'static str> {
    let names = KINDS.iter().map(|(k, _)| k.name);
    let given: Vec<(&'static str, Range<usize>)> = names
        .clone()
        .filter_map(|name| Some((name, entries.get_key_value(name)?.0.span())))
        .collect();
    match given.as_slice() {
        [(only, _)] => Some(only),
        [] => {
            let common: Vec<&str> = COMMON.iter().map(|k| k.name).collect();
            let strange = entries
                .keys()
                .find(|name| !common.contains(&name.get_ref().as_ref()));
            let meant = strange.and_then(|name| closest(name.get_ref(), names.clone()));
            let (at, label) = match strange {
                Some(name) => (
                    name.span(),
                    format!("`{}` is no kind of step", name.get_ref()),
                ),
                None => (span, "says nothing to do".to_owned()),
            };
            let problem = file.problem(at, "a step must do one thing", label);
            file.report(match meant {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help(format!("the kinds are {}", listed(names, "and"))),
            });
            None
        }
        [(first, first_span), (second, second_span), ..] => {
            file.report(
                file.problem(
                    second_span.clone(),
                    "a step must do one thing",
                    format!("and `{second}` another"),
                )
                .context(first_span.clone(), format!("`{first}` is one"))
                .help("make it two steps, in the order in which they shall run"),
            );
            None
        }
    }
}
