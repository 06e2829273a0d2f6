//! What `[agent]` means: the last layer of an image, and checks that hold for it.
//!
//! It is made of steps like any other, so that it is shown, hashed and done like any other. The service is enabled and never started: what a
//! build host logs is nobody's business (its user-data sees to that, even where an image has the agent already).

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Access, Action, Apt, Check, Condition, PathKind, Program, Run, Service, Step, Template, Upload,
};

/// The name of the layer.
pub(super) const LAYER: &str = "agent";
/// The agent's service.
const UNIT: &str = "baker-agent.service";
/// Where the service looks for its configuration.
const CONFIGURATION: &str = "/etc/baker-agent/baker-agent.toml";
/// Where a package is sent to: the bake's own folder, on tmpfs, so that no image ever has it.
const PACKAGE: &str = "/run/baker/baker-agent.deb";
/// Where a program that comes without a package is put, as its unit expects it.
const PROGRAM: &str = "/usr/bin/baker-agent";
/// Where packages put their units; what an administrator adds in /etc goes before it.
const UNITS: &str = "/lib/systemd/system";
/// The unit that comes with a program that comes without a package.
const UNIT_TEXT: &str = include_str!("../../../systemd/baker-agent.service");
/// How long a look at the installed agent may take until it counts as failed.
const LOOK_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the image's own checks of it may take to hold.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// `[agent]`, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agent {
    /// What is installed.
    pub(super) program: AgentProgram,
    /// Its configuration, for [`CONFIGURATION`].
    pub(super) config: Template,
    /// Groups whose files it may read, besides `adm`.
    pub(super) groups: Vec<String>,
}

/// What is installed: a local file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AgentProgram {
    /// A Debian package, with unit and user.
    Package(Upload),
    /// The program alone; unit and user come from here.
    Binary(Upload),
}

impl AgentProgram {
    /// A package that is to be sent.
    pub(super) fn package(mut upload: Upload) -> Self {
        upload.to = PACKAGE.into();
        Self::Package(upload)
    }

    /// A program that is to be sent.
    pub(super) fn binary(mut upload: Upload) -> Self {
        upload.to = PROGRAM.into();
        upload.access.mode = Some(0o755);
        Self::Binary(upload)
    }
}

/// The configuration as the recipe has it, at its place on the host.
pub(super) fn configuration(from: String, content: String) -> Template {
    Template {
        from,
        to: CONFIGURATION.into(),
        content,
        access: Access::default(),
    }
}

impl Agent {
    /// What is done, in order.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = match &self.program {
            AgentProgram::Package(upload) => vec![
                step("send the agent's package", Action::Upload(upload.clone())),
                step(
                    "install the agent",
                    Action::Apt(Apt {
                        packages: vec![PACKAGE.into()],
                        upgrade: None,
                    }),
                ),
            ],
            AgentProgram::Binary(upload) => vec![
                step("send the agent", Action::Upload(upload.clone())),
                step(
                    "install the agent's unit",
                    Action::Template(Template {
                        from: format!("systemd/{UNIT}"),
                        to: format!("{UNITS}/{UNIT}"),
                        content: UNIT_TEXT.into(),
                        access: Access::default(),
                    }),
                ),
            ],
        };
        steps.push(step(
            "give the agent its user and its directories",
            script(
                "agent-account",
                include_bytes!("agent/account.sh"),
                &self.groups,
            ),
        ));
        steps.push(step(
            "configure the agent",
            Action::Template(self.config.clone()),
        ));
        steps.push(Step {
            timeout: Some(LOOK_TIMEOUT),
            ..step(
                "see that the agent runs here and takes its configuration",
                script("agent-check", include_bytes!("agent/check.sh"), &[]),
            )
        });
        steps.push(step(
            "enable the agent for the next boot",
            Action::Service(Service {
                name: UNIT.into(),
                unit: None,
                enable: true,
                start: false,
            }),
        ));
        steps
    }

    /// What must hold before the host is sealed.
    pub(super) fn checks(&self, recipe: &str) -> Vec<Check> {
        let check = |condition| Check {
            recipe: recipe.to_owned(),
            timeout: CHECK_TIMEOUT,
            condition,
        };
        vec![
            check(Condition::Service {
                name: UNIT.into(),
                active: false,
                enabled: true,
            }),
            check(Condition::Path {
                path: CONFIGURATION.into(),
                owner: Some("root".into()),
                group: Some("root".into()),
                mode: Some(0o644),
                kind: Some(PathKind::File),
            }),
            check(Condition::Path {
                path: PROGRAM.into(),
                owner: Some("root".into()),
                group: Some("root".into()),
                mode: Some(0o755),
                kind: Some(PathKind::File),
            }),
        ]
    }
}

fn step(title: &str, action: Action) -> Step {
    Step {
        title: title.into(),
        timeout: None,
        action,
    }
}

fn script(name: &str, content: &[u8], args: &[String]) -> Action {
    Action::Run(Run {
        program: Program::Script {
            path: name.into(),
            content: content.to_vec(),
            args: args.to_vec(),
        },
        user: "root".into(),
        env: BTreeMap::new(),
        cwd: None,
    })
}
