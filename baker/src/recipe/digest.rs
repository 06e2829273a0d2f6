//! Content hashes: what decides an image, and nothing else.
//!
//! The text that is hashed is canonical: every value is preceded by its kind and its length, so
//! two different recipes can't give the same text. Left out is what the image does not show:
//! titles, timeouts, where local files lie, and how the bake reaches its host.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{
    Access, Action, Condition, EntryKind, PathKind, Program, Recipe, RootVolume, Source, Step,
    Template, Upgrade,
};

/// A SHA-256, shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Takes the 32 bytes of a SHA-256 as they are.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The SHA-256 of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first eight hexadecimal digits: enough to tell a project's recipes apart.
    #[must_use]
    pub fn short(&self) -> String {
        let mut full = self.to_string();
        full.truncate(8);
        full
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The key of each layer: a chain, so that a key stands for its layer and all below it. The
/// source AMI is not in it.
pub(super) fn layer_keys<'a>(layers: impl Iterator<Item = &'a [Step]>) -> Vec<Digest> {
    let mut below: Option<Digest> = None;
    layers
        .map(|steps| {
            let mut text = Canonical::new("baker layer 1");
            text.optional(below.as_ref(), |text, key| text.bytes(&key.0));
            text.list(steps, |text, step| action(text, &step.action));
            let key = text.finish();
            below = Some(key);
            key
        })
        .collect()
}

/// The digest of a whole recipe; its own `digest` field is not looked at.
pub(super) fn of_recipe(recipe: &Recipe) -> Digest {
    let mut text = Canonical::new("baker recipe 1");
    text.string(&recipe.name);
    text.optional(recipe.description.as_ref(), |text, d| text.string(d));
    match &recipe.source {
        Source::Ubuntu(release) => text.variant("ubuntu").string(release),
        Source::Ami(id) => text.variant("ami").string(id),
        Source::Ssm(name) => text.variant("ssm").string(name),
    }
    text.map(&recipe.tags);
    let RootVolume {
        size_gib,
        volume_type,
        iops: _,
        throughput_mibps: _,
    } = &recipe.build.root_volume;
    text.optional(size_gib.as_ref(), |text, gib| text.number(u64::from(*gib)));
    text.optional(volume_type.as_ref(), |text, kind| text.string(kind));
    text.list(&recipe.layers, |text, layer| text.bytes(&layer.key.0));
    text.list(&recipe.checks, |text, check| {
        condition(text, &check.condition)
    });
    text.finish()
}

fn action(text: &mut Canonical, action: &Action) {
    match action {
        Action::Apt(apt) => {
            text.variant("apt");
            text.list(&apt.packages, |text, package| text.string(package));
            text.optional(apt.upgrade.as_ref(), |text, Upgrade::Dist| {
                text.string("dist")
            });
        }
        Action::Run(run) => {
            text.variant("run");
            match &run.program {
                Program::Shell(shell) => text.variant("shell").string(shell),
                Program::Script {
                    path: _,
                    content,
                    args,
                } => {
                    text.variant("script").bytes(content);
                    text.list(args, |text, arg| text.string(arg));
                }
            }
            text.string(&run.user);
            text.map(&run.env);
            text.optional(run.cwd.as_ref(), |text, cwd| text.string(cwd));
        }
        Action::Upload(upload) => {
            text.variant("upload").string(&upload.to);
            access(text, &upload.access);
            text.list(&upload.entries, |text, entry| {
                text.string(&entry.path);
                match &entry.kind {
                    EntryKind::Directory => {
                        text.variant("directory");
                    }
                    EntryKind::File {
                        executable,
                        size_bytes: _,
                        sha256,
                    } => {
                        text.variant("file").bytes(&sha256.0);
                        text.flag(*executable);
                    }
                    EntryKind::Symlink { target } => text.variant("link").string(target),
                }
            });
        }
        Action::Template(file) => {
            text.variant("template");
            template(text, file);
        }
        Action::Service(service) => {
            text.variant("service").string(&service.name);
            text.optional(service.unit.as_ref(), template);
            text.flag(service.enable);
            text.flag(service.start);
        }
    }
}

fn template(text: &mut Canonical, template: &Template) {
    text.string(&template.to);
    text.string(&template.content);
    access(text, &template.access);
}

fn access(text: &mut Canonical, access: &Access) {
    text.optional(access.owner.as_ref(), |text, owner| text.string(owner));
    text.optional(access.group.as_ref(), |text, group| text.string(group));
    text.optional(access.mode.as_ref(), |text, mode| {
        text.number(u64::from(*mode))
    });
}

fn condition(text: &mut Canonical, condition: &Condition) {
    match condition {
        Condition::Path {
            path,
            owner,
            group,
            mode,
            kind,
        } => {
            text.variant("path").string(path);
            text.optional(owner.as_ref(), |text, owner| text.string(owner));
            text.optional(group.as_ref(), |text, group| text.string(group));
            text.optional(mode.as_ref(), |text, mode| text.number(u64::from(*mode)));
            text.optional(kind.as_ref(), |text, kind| {
                text.flag(*kind == PathKind::Directory);
            });
        }
        Condition::Service {
            name,
            active,
            enabled,
        } => {
            text.variant("service").string(name);
            text.flag(*active);
            text.flag(*enabled);
        }
        Condition::Port(port) => text.variant("port").number(u64::from(*port)),
        Condition::Http {
            url,
            status,
            contains,
        } => {
            text.variant("http").string(url);
            text.number(u64::from(*status));
            text.optional(contains.as_ref(), |text, part| text.string(part));
        }
        Condition::Command { command, user } => {
            text.variant("command").string(command);
            text.string(user);
        }
    }
}

/// Hashes values so that no two sequences of values look the same.
struct Canonical(Sha256);

impl Canonical {
    fn new(domain: &str) -> Self {
        let mut text = Self(Sha256::new());
        text.string(domain);
        text
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.0.update([tag]);
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.tagged(b'b', bytes);
    }

    fn string(&mut self, string: &str) {
        self.tagged(b's', string.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.tagged(b'n', &number.to_be_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.tagged(b'f', &[u8::from(flag)]);
    }

    fn variant(&mut self, name: &str) -> &mut Self {
        self.tagged(b'v', name.as_bytes());
        self
    }

    fn optional<T: ?Sized>(&mut self, value: Option<&T>, feed: impl FnOnce(&mut Self, &T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            feed(self, value);
        }
    }

    fn list<T>(&mut self, items: &[T], feed: impl Fn(&mut Self, &T)) {
        self.tagged(b'l', &(items.len() as u64).to_be_bytes());
        for item in items {
            feed(self, item);
        }
    }

    fn map(&mut self, map: &std::collections::BTreeMap<String, String>) {
        self.tagged(b'm', &(map.len() as u64).to_be_bytes());
        for (key, value) in map {
            self.string(key);
            self.string(value);
        }
    }

    fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }
}
