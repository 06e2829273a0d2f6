//! `[[layer]]` and `[[layer.step]]`.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::files::{self, Pattern};
use super::rules;
use super::table::{File, Key, Table, described, key};
use super::templates;
use crate::diagnostics::{closest, listed};
use crate::recipe::{Access, Action, Apt, Program, Run, Service, Step, Template, Upgrade, Upload};

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

const UPLOAD: &[Key] = &[
    key("from", "\"src/\""),
    key("to", "\"/srv/app\""),
    key("owner", "\"www-data\""),
    key("group", "\"www-data\""),
    key("mode", "\"0640\""),
    key("exclude", "[\"__pycache__\", \"*.pyc\"]"),
];

const TEMPLATE: &[Key] = &[
    key("from", "\"files/app.conf\""),
    key("to", "\"/etc/app.conf\""),
    key("owner", "\"root\""),
    key("group", "\"www-data\""),
    key("mode", "\"0640\""),
];

const SERVICE: &[Key] = &[
    key("name", "\"gunicorn\""),
    key("unit", "\"files/gunicorn.service\""),
    key("enable", "true"),
    key("start", "true"),
];

/// A layer as far as it could be read.
#[derive(Debug)]
pub(in crate::recipe) struct Layer {
    pub(in crate::recipe) name: String,
    pub(in crate::recipe) steps: Vec<Step>,
}

pub(super) fn read_layers(file: &File, tables: Vec<(Range<usize>, &DeTable<'_>)>) -> Vec<Layer> {
    let mut names: BTreeMap<String, Range<usize>> = BTreeMap::new();
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
        "apt" => read_apt(&table).map(Action::Apt),
        "run" => read_run(&table).map(Action::Run),
        "script" => read_script(&table).map(Action::Run),
        "upload" => read_upload(&table).map(Action::Upload),
        "template" => read_template(&table).map(Action::Template),
        _ => read_service(&table).map(Action::Service),
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

fn read_apt(table: &Table<'_>) -> Option<Apt> {
    let upgrade = table.one_of("upgrade", &[("dist", Upgrade::Dist)]);
    let written = table.strings("apt")?;
    if written.is_empty()
        && !table.has("upgrade")
        && let Some(span) = table.key_span("apt")
    {
        table.breach(
            "apt",
            span,
            "must name at least one package, or come with upgrade = \"dist\"",
        );
    }
    let packages = written
        .into_iter()
        .filter_map(|name| table.ruled("apt", name, rules::package))
        .collect();
    Some(Apt { packages, upgrade })
}

fn read_run(table: &Table<'_>) -> Option<Run> {
    let text = table.string("run")?;
    if text.get_ref().trim().is_empty() {
        table.breach("run", text.span(), "must hold a command");
        return None;
    }
    Some(running(table, Program::Shell(text.into_inner())))
}

fn read_script(table: &Table<'_>) -> Option<Run> {
    let path = table.string("script")?;
    let args = table.strings("args").unwrap_or_default();
    let content = files::read_script(table.file, &path);
    let run = running(
        table,
        Program::Script {
            path: path.into_inner(),
            content: content?,
            args: args.into_iter().map(toml::Spanned::into_inner).collect(),
        },
    );
    Some(run)
}

fn running(table: &Table<'_>, program: Program) -> Run {
    let mut env = BTreeMap::new();
    for (name, entry) in table.string_map("env").unwrap_or_default() {
        if let Err(expected) = rules::environment_name(&name) {
            table.breach("env", entry.key_span, expected);
        }
        env.insert(name, entry.value.into_inner());
    }
    Run {
        program,
        user: table
            .ruled_string("user", rules::account)
            .unwrap_or_else(|| "root".into()),
        env,
        cwd: table.ruled_string("cwd", rules::absolute_path),
    }
}

fn read_upload(table: &Table<'_>) -> Option<Upload> {
    let upload = table.table("upload", "`upload`", UPLOAD)?;
    let exclude: Vec<Pattern> = upload
        .strings("exclude")
        .unwrap_or_default()
        .iter()
        .map(|pattern| Pattern::new(pattern.get_ref()))
        .collect();
    let found = upload
        .required_string("from")
        .and_then(|from| files::entries(upload.file, &from, &exclude));
    let to = upload.required_string("to");
    let access = read_access(&upload);
    let (from, entries) = found?;
    let single = entries.iter().any(|entry| entry.path.is_empty());
    let rule = if single {
        rules::absolute_file
    } else {
        rules::absolute_path
    };
    Some(Upload {
        from,
        to: upload.ruled("to", to?, rule)?,
        access,
        entries,
    })
}

fn read_template(table: &Table<'_>) -> Option<Template> {
    let template = table.table("template", "`template`", TEMPLATE)?;
    let from = template.required_string("from");
    let to = template
        .required_string("to")
        .and_then(|to| template.ruled("to", to, rules::absolute_file));
    let access = read_access(&template);
    let from = from?;
    Some(Template {
        content: templates::render(template.file, &from)?,
        from: from.into_inner(),
        to: to?,
        access,
    })
}

fn read_access(table: &Table<'_>) -> Access {
    Access {
        owner: table.ruled_string("owner", rules::account),
        group: table.ruled_string("group", rules::account),
        mode: table.parsed("mode", rules::mode),
    }
}

fn read_service(table: &Table<'_>) -> Option<Service> {
    let value = table.value("service")?;
    let entries = match value.get_ref() {
        DeValue::String(name) => {
            let name = table.interpolated(name, value.span())?;
            return Some(Service {
                name: unit_name(&table.ruled("service", name, rules::unit)?),
                unit: None,
                enable: true,
                start: true,
            });
        }
        DeValue::Table(entries) => entries,
        other => {
            let problem = table.file.problem(
                value.span(),
                "`service` must be a unit's name or a table",
                format!("this is {}", described(other)),
            );
            table.file.report(problem.help(
                "for example: service = \"nginx\", or service = { name = \"app\", unit = \"files/app.service\" }",
            ));
            return None;
        }
    };
    let service = Table::strict(table.file, "`service`", value.span(), entries, SERVICE);
    let name = service
        .required_string("name")
        .and_then(|name| service.ruled("name", name, rules::unit));
    let unit_file = service.string("unit");
    let content = unit_file
        .as_ref()
        .map(|from| templates::render(service.file, from));
    let enable = service.boolean("enable").unwrap_or(true);
    let start = service.boolean("start").unwrap_or(true);
    let name = unit_name(&name?);
    let unit = match (unit_file, content) {
        (Some(from), Some(content)) => Some(Template {
            from: from.into_inner(),
            to: format!("/etc/systemd/system/{name}"),
            content: content?,
            access: Access::default(),
        }),
        _ => None,
    };
    Some(Service {
        name,
        unit,
        enable,
        start,
    })
}

/// The unit's full name: `.service` is understood.
pub(super) fn unit_name(name: &str) -> String {
    const SUFFIXES: [&str; 7] = [
        ".service", ".socket", ".timer", ".path", ".mount", ".target", ".slice",
    ];
    if SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}
