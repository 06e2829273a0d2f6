//! `[image]` and `[build]`.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::rules::{self, Rule};
use super::table::{Key, Table, described, key};
use crate::diagnostics::{closest, listed};
use crate::recipe::{self, AddressMode, RootVolume, Source};

pub(super) const IMAGE: &[Key] = &[
    key("name", "\"app\""),
    key("description", "\"The web application\""),
    key("from", "{ ubuntu = \"18.04\" }"),
    key("tags", "{ team = \"web\" }"),
];

pub(super) const BUILD: &[Key] = &[
    key("instance_types", "[\"t3.medium\", \"t3a.medium\"]"),
    key("root_volume", "{ size_gib = 8, type = \"gp3\" }"),
    key("timeout", "\"45m\""),
    key("ssh_user", "\"ubuntu\""),
    key("subnet", "\"subnet-0123456789abcdef0\""),
    key("address", "\"private\""),
    key("ssh_from", "\"203.0.113.7/32\""),
    key("instance_profile", "\"baker-instance\""),
];

const ROOT_VOLUME: &[Key] = &[
    key("size_gib", "8"),
    key("type", "\"gp3\""),
    key("iops", "3000"),
    key("throughput_mibps", "250"),
];

/// Volume types that can hold a root file system.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html>
const VOLUME_TYPES: &[&str] = &["gp3", "gp2", "io1", "io2", "standard"];

/// What a recipe stands on (`[image].from`).
#[derive(Debug, Clone)]
pub(in crate::recipe) enum From {
    /// Another recipe, by its path from this one.
    Recipe(Spanned<String>),
    /// An image.
    Image(Source),
}

/// `[image]` as far as it could be read.
#[derive(Debug, Default)]
pub(in crate::recipe) struct Image {
    pub(in crate::recipe) name: Option<String>,
    pub(in crate::recipe) description: Option<String>,
    pub(in crate::recipe) from: Option<From>,
    pub(in crate::recipe) tags: BTreeMap<String, String>,
}

/// `[build]`: only what the recipe says, so that its base can say the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::recipe) struct Build {
    instance_types: Option<Vec<String>>,
    root_volume: Option<RootVolume>,
    timeout: Option<Duration>,
    ssh_user: Option<String>,
    subnet: Option<String>,
    address: Option<AddressMode>,
    ssh_from: Option<String>,
    instance_profile: Option<String>,
}

impl Build {
    /// What this one says, and where it is silent what the other says.
    pub(in crate::recipe) fn or(self, base: Self) -> Self {
        Self {
            instance_types: self.instance_types.or(base.instance_types),
            root_volume: self.root_volume.or(base.root_volume),
            timeout: self.timeout.or(base.timeout),
            ssh_user: self.ssh_user.or(base.ssh_user),
            subnet: self.subnet.or(base.subnet),
            address: self.address.or(base.address),
            ssh_from: self.ssh_from.or(base.ssh_from),
            instance_profile: self.instance_profile.or(base.instance_profile),
        }
    }

    /// With the defaults for what nobody said.
    pub(in crate::recipe) fn settle(self) -> recipe::Build {
        let default_types = || recipe::DEFAULT_INSTANCE_TYPES.map(str::to_owned).to_vec();
        recipe::Build {
            instance_types: self.instance_types.unwrap_or_else(default_types),
            root_volume: self.root_volume.unwrap_or_default(),
            timeout: self.timeout.unwrap_or(recipe::DEFAULT_TIMEOUT),
            ssh_user: self
                .ssh_user
                .unwrap_or_else(|| recipe::DEFAULT_SSH_USER.to_owned()),
            subnet: self.subnet,
            address: self.address.unwrap_or(AddressMode::Auto),
            ssh_from: self.ssh_from,
            instance_profile: self.instance_profile,
        }
    }
}

impl Table<'_> {
    /// A value that a rule has to take; a broken one is reported and left out.
    pub(super) fn ruled(
        &self,
        what: &str,
        value: Spanned<String>,
        rule: fn(&str) -> Rule,
    ) -> Option<String> {
        match rule(value.get_ref()) {
            Ok(()) => Some(value.into_inner()),
            Err(expected) => {
                self.breach(what, value.span(), expected);
                None
            }
        }
    }

    pub(super) fn breach(&self, what: &str, span: std::ops::Range<usize>, expected: &str) {
        let title = if what.is_empty() {
            format!("invalid value in {}", self.title)
        } else {
            format!("invalid `{what}` in {}", self.title)
        };
        self.file.report(self.file.problem(span, title, expected));
    }

    pub(super) fn ruled_string(&self, name: &str, rule: fn(&str) -> Rule) -> Option<String> {
        let value = self.string(name)?;
        self.ruled(name, value, rule)
    }

    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        self.parsed(name, rules::duration)
    }

    pub(super) fn parsed<T>(
        &self,
        name: &str,
        parse: fn(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let value = self.string(name)?;
        match parse(value.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(expected) => {
                self.breach(name, value.span(), expected);
                None
            }
        }
    }

    /// One of a fixed set of words.
    pub(super) fn one_of<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.string(name)?;
        let chosen = choices.iter().find(|(word, _)| word == value.get_ref());
        if chosen.is_none() {
            let words = || choices.iter().map(|(word, _)| *word);
            let problem = self.file.problem(
                value.span(),
                format!("invalid `{name}` in {}", self.title),
                format!("must be {}", listed(words(), "or")),
            );
            self.file.report(match closest(value.get_ref(), words()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem,
            });
        }
        chosen.map(|(_, choice)| *choice)
    }
}

pub(super) fn read_image(table: &Table<'_>) -> Image {
    let name = table
        .required_string("name")
        .and_then(|name| table.ruled("name", name, rules::image_name));
    if !table.has("from") {
        table.missing("from");
    }
    Image {
        name,
        description: table.ruled_string("description", rules::description),
        from: read_from(table),
        tags: read_tags(table),
    }
}

fn read_from(table: &Table<'_>) -> Option<From> {
    const KINDS: &[Key] = &[
        key("ubuntu", "\"18.04\""),
        key("ami", "\"ami-0123456789abcdef0\""),
        key("ssm", "\"/images/base\""),
    ];
    let value = table.value("from")?;
    match value.get_ref() {
        DeValue::String(path) => Some(From::Recipe(table.interpolated(path, value.span())?)),
        DeValue::Table(entries) => {
            let from = Table::strict(table.file, "`from`", value.span(), entries, KINDS);
            let given: Vec<&str> = KINDS
                .iter()
                .map(|k| k.name)
                .filter(|k| from.has(k))
                .collect();
            if given.len() != 1 {
                table.file.report(
                    table
                        .file
                        .problem(
                            value.span(),
                            "`from` must name exactly one image",
                            match given.len() {
                                0 => "names none".to_owned(),
                                n => format!("names {n}"),
                            },
                        )
                        .help("for example: from = { ubuntu = \"18.04\" }"),
                );
                return None;
            }
            let source = match given[0] {
                "ubuntu" => Source::Ubuntu(from.ruled_string("ubuntu", rules::ubuntu_release)?),
                "ami" => Source::Ami(from.ruled_string("ami", rules::ami_id)?),
                _ => Source::Ssm(from.ruled_string("ssm", rules::ssm_parameter)?),
            };
            Some(From::Image(source))
        }
        other => {
            table.file.report(
                table
                    .file
                    .problem(
                        value.span(),
                        "`from` in [image] must be an image or the path of a recipe",
                        format!("this is {}", described(other)),
                    )
                    .help("for example: from = { ubuntu = \"18.04\" }, or from = \"../base\""),
            );
            None
        }
    }
}

fn read_tags(table: &Table<'_>) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    for (name, entry) in table.string_map("tags").unwrap_or_default() {
        if let Err(expected) = rules::tag_key(&name) {
            table.breach("tags", entry.key_span, expected);
        }
        if let Some(value) = table.ruled("tags", entry.value, rules::tag_value) {
            tags.insert(name, value);
        }
    }
    tags
}

pub(super) fn read_build(table: &Table<'_>) -> Build {
    let instance_types = table.strings("instance_types").map(|types| {
        if types.is_empty()
            && let Some(span) = table.key_span("instance_types")
        {
            table.breach("instance_types", span, "must name at least one type");
        }
        types
            .into_iter()
            .filter_map(|t| table.ruled("instance_types", t, rules::instance_type))
            .collect()
    });
    Build {
        instance_types,
        root_volume: table
            .table("root_volume", "`root_volume`", ROOT_VOLUME)
            .map(|volume| read_root_volume(&volume)),
        timeout: table.duration("timeout"),
        ssh_user: table.ruled_string("ssh_user", rules::account),
        subnet: table.ruled_string("subnet", rules::subnet_id),
        address: table.one_of(
            "address",
            &[
                ("auto", AddressMode::Auto),
                ("public", AddressMode::Public),
                ("private", AddressMode::Private),
            ],
        ),
        ssh_from: table.ruled_string("ssh_from", rules::cidr),
        instance_profile: table.ruled_string("instance_profile", rules::instance_profile),
    }
}

/// Limits: <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html>
fn read_root_volume(table: &Table<'_>) -> RootVolume {
    let types: Vec<(&str, &str)> = VOLUME_TYPES.iter().map(|t| (*t, *t)).collect();
    let volume = RootVolume {
        size_gib: table.integer("size_gib", 1..=65_536),
        volume_type: table.one_of("type", &types).map(str::to_owned),
        iops: table.integer("iops", 100..=256_000),
        throughput_mibps: table.integer("throughput_mibps", 125..=2_000),
    };
    // What is not said is gp3 later on.
    let kind = volume.volume_type.as_deref().unwrap_or("gp3");
    if volume.throughput_mibps.is_some()
        && kind != "gp3"
        && let Some(span) = table.key_span("throughput_mibps")
    {
        table.breach("throughput_mibps", span, "only gp3 volumes take it");
    }
    if volume.iops.is_some()
        && !["gp3", "io1", "io2"].contains(&kind)
        && let Some(span) = table.key_span("iops")
    {
        table.breach("iops", span, "only gp3, io1 and io2 volumes take it");
    }
    if volume.iops.is_none() && ["io1", "io2"].contains(&kind) && !table.has("iops") {
        table.missing("iops");
    }
    volume
}
