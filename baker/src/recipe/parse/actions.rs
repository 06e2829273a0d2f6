//! What each kind of step does, from its table.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::files::{self, Pattern};
use super::rules;
use super::table::{Key, Table, described, key};
use super::templates;
use crate::recipe::{Access, Apt, Program, Run, Service, Template, Upgrade, Upload};

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

pub(super) fn read_apt(table: &Table<'_>) -> Option<Apt> {
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

pub(super) fn read_run(table: &Table<'_>) -> Option<Run> {
    let text = table.string("run")?;
    if text.get_ref().trim().is_empty() {
        table.breach("run", text.span(), "must hold a command");
        return None;
    }
    Some(running(table, Program::Shell(text.into_inner())))
}

pub(super) fn read_script(table: &Table<'_>) -> Option<Run> {
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

pub(super) fn read_upload(table: &Table<'_>) -> Option<Upload> {
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

pub(super) fn read_template(table: &Table<'_>) -> Option<Template> {
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

pub(super) fn read_service(table: &Table<'_>) -> Option<Service> {
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
