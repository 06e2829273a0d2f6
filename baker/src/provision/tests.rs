//! Steps done on this machine, with nothing replaced but `apt-get` and `systemctl`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::*;
use crate::recipe::{
    Access, Action, Apt, Digest, Entry, EntryKind, Program, Run, Service, Template, Upgrade, Upload,
};
use crate::remote::local::LocalHost;

/// A run directory, programs and a place to put files, removed at the end.
struct Bench {
    root: tempfile::TempDir,
    host: LocalHost,
    run_directory: String,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        // Other users have to get through, as they do in /run.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let programs = root.path().join("programs");
        fs::create_dir(&programs).unwrap();
        Self {
            host: LocalHost::new(&programs),
            run_directory: root.path().join("run").to_str().unwrap().to_owned(),
            root,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn place(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Does the steps, and gives what they printed.
    async fn try_steps(
        &self,
        steps: Vec<Step>,
    ) -> (Result<Vec<StepDone>, ProvisionError>, Vec<String>) {
        let (events, receiver) = Events::channel();
        let runner = Runner {
            host: &self.host,
            deadline: Instant::now() + Duration::from_secs(30),
            events: &events,
        };
        let ground = Ground {
            root: Root::Already,
            run_directory: &self.run_directory,
        };
        let layer = Layer {
            name: "code".into(),
            recipe: "app".into(),
            steps,
            key: Digest::of(b""),
        };
        let result = runner.steps(ground, &[layer]).await;
        let printed = receiver
            .try_iter()
            .filter_map(|stamped| match stamped.event {
                Event::Output { line, .. } => Some(line),
                _ => None,
            });
        (result, printed.collect())
    }

    async fn does(&self, action: Action) -> Vec<String> {
        let (result, printed) = self.try_steps(vec![step(action)]).await;
        result.unwrap();
        printed
    }

    async fn fails(&self, action: Action) -> String {
        let (result, _) = self.try_steps(vec![step(action)]).await;
        result.unwrap_err().to_string()
    }
}

fn step(action: Action) -> Step {
    Step {
        title: action.title(),
        timeout: None,
        action,
    }
}

fn whoami() -> String {
    let output = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn own_group() -> String {
    let output = std::process::Command::new("id")
        .arg("-gn")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn mine(mode: Option<u32>) -> Access {
    Access {
        owner: Some(whoami()),
        group: Some(own_group()),
        mode,
    }
}

fn shell(text: &str) -> Run {
    Run {
        program: Program::Shell(text.into()),
        user: whoami(),
        env: BTreeMap::new(),
        cwd: None,
    }
}

#[tokio::test]
async fn a_run_step_gets_its_own_environment_and_nothing_of_the_bakes() {
    let bench = Bench::new();
    let mut run = shell("echo \"$GREETING\"; pwd; env | grep -c ^CARGO || true; cat; echo end");
    run.env = BTreeMap::from([(
        "GREETING".into(),
        "it's $HOME \"quoted\"\nand two lines".into(),
    )]);
    run.cwd = Some(bench.place("programs"));
    let printed = bench.does(Action::Run(run)).await;
    let cwd = bench.place("programs");
    assert_eq!(
        printed,
        ["it's $HOME \"quoted\"", "and two lines", &cwd, "0", "end"]
    );
}

#[tokio::test]
async fn values_of_the_environment_are_not_on_the_command_line_and_do_not_stay() {
    let bench = Bench::new();
    let mut run = shell("tr '\\0' ' ' < /proc/$PPID/cmdline; ls \"$(dirname \"$0\")\"");
    run.env = BTreeMap::from([("TOKEN".into(), "hunter2".into())]);
    let printed = bench.does(Action::Run(run)).await;
    assert!(!printed.concat().contains("hunter2"), "{printed:?}");
    assert!(printed.contains(&"program".to_owned()), "{printed:?}");
    assert_eq!(fs::read_dir(&bench.run_directory).unwrap().count(), 0);
}

#[tokio::test]
async fn a_script_runs_by_its_own_interpreter_with_its_arguments() {
    let bench = Bench::new();
    let run = Run {
        program: Program::Script {
            path: "scripts/hello.py".into(),
            content: b"#!/usr/bin/env python3\nimport sys\nprint(sys.argv[1:])\n".to_vec(),
            args: vec!["a b".into(), "--c".into()],
        },
        ..shell("")
    };
    assert_eq!(bench.does(Action::Run(run)).await, ["['a b', '--c']"]);
}

#[tokio::test]
async fn another_user_runs_the_step_as_themselves() {
    if whoami() != "root" {
        eprintln!("only root can run a step as somebody else");
        return;
    }
    let bench = Bench::new();
    let mut run = shell("id -un; echo $HOME; umask");
    run.user = "nobody".into();
    let printed = bench.does(Action::Run(run)).await;
    assert_eq!(printed, ["nobody", "/nonexistent", "0022"]);
}

#[tokio::test]
async fn a_failing_step_shows_place_command_status_and_last_lines_only() {
    let bench = Bench::new();
    let text = "for i in $(seq 30); do echo line $i; done\nfalse\necho never";
    let message = bench.fails(Action::Run(shell(text))).await;
    let expected_start = "step 1 of layer `code` of recipe `app` (run: for i in $(seq 30); do echo line $i; done) \
                          failed: exit status 1\n  it ran:\n    for i";
    assert!(message.starts_with(expected_start), "{message}");
    assert!(message.ends_with("line 29\n    line 30"), "{message}");
    assert!(
        message.contains("line 11\n") && !message.contains("line 10\n"),
        "{message}"
    );
    assert!(!message.contains("never\n    line"), "{message}");
}

#[tokio::test]
async fn a_failure_in_a_pipe_or_of_an_unset_variable_is_a_failure() {
    let bench = Bench::new();
    assert!(
        bench
            .fails(Action::Run(shell("false | cat")))
            .await
            .contains("exit status 1")
    );
    assert!(
        bench
            .fails(Action::Run(shell("echo $nope")))
            .await
            .contains("unbound variable")
    );
    let missing = bench.fails(Action::Run(shell("no-such-command"))).await;
    assert!(missing.contains("127 (command not found)"), "{missing}");
}

#[tokio::test]
async fn a_process_left_in_the_background_does_not_hold_the_step() {
    let bench = Bench::new();
    let started = Instant::now();
    let run = shell("sleep 60 & echo $!; echo done; echo warned >&2");
    let printed = bench.does(Action::Run(run)).await;
    assert!(started.elapsed() < Duration::from_secs(20));
    for wanted in ["done", "warned"] {
        assert!(printed.iter().any(|line| line == wanted), "{printed:?}");
    }
    assert!(
        printed
            .iter()
            .any(|line| line.contains("in the background")),
        "{printed:?}"
    );
    let pid = printed.iter().find(|line| line.parse::<u32>().is_ok());
    let alive = std::process::Command::new("kill")
        .arg(pid.unwrap())
        .status()
        .unwrap();
    assert!(alive.success(), "it is left alone");
}

#[tokio::test]
async fn a_long_output_arrives_to_the_last_line() {
    let bench = Bench::new();
    let printed = bench
        .does(Action::Run(shell("seq 50000; seq 50000 >&2")))
        .await;
    assert_eq!(printed.len(), 100_000);
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_ended_with_its_own_limit_named() {
    let bench = Bench::new();
    let slow = Step {
        timeout: Some(Duration::from_millis(300)),
        ..step(Action::Run(shell("echo begun; sleep 20")))
    };
    let started = Instant::now();
    let (result, _) = bench.try_steps(vec![slow]).await;
    let message = result.unwrap_err().to_string();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(
        message.contains("longer than its timeout, 300ms"),
        "{message}"
    );
    assert!(message.ends_with("begun"), "{message}");
}

#[tokio::test]
async fn an_unknown_user_is_told_before_anything_runs() {
    let bench = Bench::new();
    let mut run = shell("echo ran");
    run.user = "nobody-of-that-name".into();
    let message = bench.fails(Action::Run(run)).await;
    assert!(message.contains("make it in an earlier step"), "{message}");
    assert!(!message.contains("    ran"), "{message}");
}

fn file(path: &str, content: &str, executable: bool) -> Entry {
    Entry {
        path: path.into(),
        kind: EntryKind::File {
            executable,
            size_bytes: content.len() as u64,
            sha256: Digest::of(content.as_bytes()),
        },
    }
}

fn directory(path: &str) -> Entry {
    Entry {
        path: path.into(),
        kind: EntryKind::Directory,
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// A tree with a file, an executable and a link.
fn tree(bench: &Bench) -> Upload {
    let from = bench.path("src");
    fs::create_dir_all(from.join("bin")).unwrap();
    fs::write(from.join("a.txt"), "a").unwrap();
    fs::write(from.join("bin/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(from.join("bin/run"), fs::Permissions::from_mode(0o775)).unwrap();
    symlink("../a.txt", from.join("bin/link")).unwrap();
    Upload {
        from,
        to: bench.place("srv/app"),
        access: mine(Some(0o640)),
        entries: vec![
            file("a.txt", "a", false),
            directory("bin"),
            Entry {
                path: "bin/link".into(),
                kind: EntryKind::Symlink {
                    target: "../a.txt".into(),
                },
            },
            file("bin/run", "#!/bin/sh\n", true),
        ],
    }
}

#[tokio::test]
async fn a_tree_arrives_with_its_modes_and_links() {
    let bench = Bench::new();
    let upload = tree(&bench);
    bench.does(Action::Upload(upload)).await;
    let to = bench.path("srv/app");
    assert_eq!(fs::read_to_string(to.join("bin/link")).unwrap(), "a");
    assert_eq!(mode(&to), 0o750);
    assert_eq!(mode(&to.join("a.txt")), 0o640);
    assert_eq!(mode(&to.join("bin")), 0o750);
    assert_eq!(mode(&to.join("bin/run")), 0o750);
}

#[tokio::test]
async fn a_tree_goes_into_what_is_there_and_leaves_the_rest() {
    let bench = Bench::new();
    let mut upload = tree(&bench);
    let to = bench.path("srv/app");
    fs::create_dir_all(&to).unwrap();
    fs::set_permissions(&to, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(to.join("kept"), "k").unwrap();
    if whoami() == "root" {
        upload.access = Access::default();
        bench.does(Action::Upload(upload)).await;
        assert_eq!(
            mode(&to),
            0o700,
            "a directory that was there is not touched"
        );
        assert_eq!(mode(&to.join("a.txt")), 0o644);
    } else {
        bench.does(Action::Upload(upload)).await;
    }
    assert_eq!(fs::read_to_string(to.join("kept")).unwrap(), "k");
}

#[tokio::test]
async fn a_single_file_is_written_as_its_destination() {
    let bench = Bench::new();
    let from = bench.path("here.conf");
    fs::write(&from, "x = 1\n").unwrap();
    let upload = Upload {
        from,
        to: bench.place("etc/app/there.conf"),
        access: mine(Some(0o600)),
        entries: vec![file("", "x = 1\n", false)],
    };
    bench.does(Action::Upload(upload)).await;
    let to = bench.path("etc/app/there.conf");
    assert_eq!(fs::read_to_string(&to).unwrap(), "x = 1\n");
    assert_eq!(mode(&to), 0o600);
}

#[tokio::test]
async fn an_upload_for_an_unknown_user_is_told_with_the_remedy() {
    let bench = Bench::new();
    let mut upload = tree(&bench);
    upload.access.owner = Some("nobody-of-that-name".into());
    let message = bench.fails(Action::Upload(upload)).await;
    assert!(
        message.contains("there is no user nobody-of-that-name"),
        "{message}"
    );
    assert!(!bench.path("srv/app").exists());
}

#[tokio::test]
async fn a_template_replaces_a_file_whole_and_leaves_nothing_beside_it() {
    let bench = Bench::new();
    let to = bench.path("etc/app.conf");
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::write(&to, "old").unwrap();
    let template = Template {
        from: "files/app.conf".into(),
        to: bench.place("etc/app.conf"),
        content: "new 'quoted' $HOME\n".into(),
        access: mine(None),
    };
    bench.does(Action::Template(template)).await;
    assert_eq!(fs::read_to_string(&to).unwrap(), "new 'quoted' $HOME\n");
    assert_eq!(mode(&to), 0o644);
    assert_eq!(fs::read_dir(to.parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_service_is_reloaded_enabled_and_started_in_that_order() {
    let bench = Bench::new();
    bench.host.replace("systemctl", "echo systemctl \"$@\"");
    let service = |enable, start| {
        Action::Service(Service {
            name: "app.service".into(),
            unit: None,
            enable,
            start,
        })
    };
    assert_eq!(
        bench.does(service(true, true)).await,
        [
            "systemctl daemon-reload",
            "systemctl enable app.service",
            "systemctl restart app.service"
        ]
    );
    assert_eq!(
        bench.does(service(false, false)).await,
        ["systemctl daemon-reload", "systemctl disable app.service"]
    );
}

#[tokio::test]
async fn a_service_that_does_not_start_shows_its_journal() {
    let bench = Bench::new();
    bench.host.replace("systemctl", "[ \"$1\" != restart ]");
    bench
        .host
        .replace("journalctl", "echo 'app.py: no module named flask'");
    let service = Service {
        name: "app.service".into(),
        unit: None,
        enable: true,
        start: true,
    };
    let message = bench.fails(Action::Service(service)).await;
    assert!(message.contains("no module named flask"), "{message}");
}

#[tokio::test]
async fn package_lists_are_fetched_once_for_a_bake() {
    let bench = Bench::new();
    bench
        .host
        .replace("apt-get", "for last; do :; done; echo \"$last\"");
    let apt = |package: &str, upgrade| {
        step(Action::Apt(Apt {
            packages: vec![package.into()],
            upgrade,
        }))
    };
    let steps = vec![apt("nginx", Some(Upgrade::Dist)), apt("gunicorn", None)];
    let (result, printed) = bench.try_steps(steps).await;
    result.unwrap();
    assert_eq!(printed, ["update", "dist-upgrade", "nginx", "gunicorn"]);
}

#[tokio::test]
async fn steps_run_in_order_until_one_fails_and_each_is_counted() {
    let bench = Bench::new();
    let steps = ["echo one", "exit 3", "echo three"].map(|text| step(Action::Run(shell(text))));
    let (result, printed) = bench.try_steps(steps.to_vec()).await;
    assert_eq!(printed, ["one"]);
    assert!(
        result
            .unwrap_err()
            .to_string()
            .starts_with("step 2 of layer `code`")
    );
}
