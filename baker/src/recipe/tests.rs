//! Recipes read from directories: what the digest stands for, how recipes stand on each other, where values come from.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::SystemTime;

use proptest::prelude::*;

use super::*;

const RECIPE: &str = r#"
[image]
name = "app"
from = { ubuntu = "18.04" }
tags = { team = "web" }

[build]
timeout = "20m"

[vars]
release = { env = "RELEASE", default = "dev" }

[[layer]]
name = "system"

[[layer.step]]
apt = ["nginx"]

[[layer]]
name = "code"

[[layer.step]]
upload = { from = "src", to = "/srv/app", owner = "www-data", exclude = ["*.pyc"] }

[[layer.step]]
script = "setup.sh"
env = { RELEASE = "{{ release }}" }

[[layer.step]]
template = { from = "app.conf", to = "/etc/app.conf" }

[[check]]
path = "/srv/app"
"#;

/// A recipe's directory, with everything that it names.
fn project(at: &Path) {
    fs::create_dir_all(at.join("src/static")).unwrap();
    fs::write(at.join("recipe.toml"), RECIPE).unwrap();
    fs::write(at.join("setup.sh"), "#!/bin/sh\ntrue\n").unwrap();
    fs::write(at.join("app.conf"), "release = {{ release }}\n").unwrap();
    fs::write(at.join("src/app.py"), "print()\n").unwrap();
    fs::write(at.join("src/static/a.css"), "body {}\n").unwrap();
    symlink("app.py", at.join("src/main.py")).unwrap();
}

fn read(at: &Path) -> Recipe {
    load(at, &Outside::default()).unwrap()
}

/// The messages of a recipe that is refused.
fn refused(at: &Path, outside: &Outside) -> Vec<String> {
    let problems = load(at, outside).unwrap_err();
    problems.iter().map(|p| p.message().to_owned()).collect()
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_digest_depends_on_neither_place_nor_time_nor_umask() {
    let root = tempfile::tempdir().unwrap();
    let (here, there) = (root.path().join("here"), root.path().join("a/b/there"));
    project(&here);
    project(&there);
    let file = fs::File::options()
        .write(true)
        .open(there.join("src/app.py"))
        .unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    fs::set_permissions(there.join("src/app.py"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(there.join("src"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(there.join("src/app.pyc"), "left out").unwrap();
    let (one, other) = (read(&here), read(&there));
    assert_eq!(one.digest, other.digest);
    assert_eq!(one.layers[1].key, other.layers[1].key);
}

/// What is changed, and how.
type Change = (&'static str, fn(&Path));

#[test]
fn a_digest_changes_with_everything_that_the_image_shows() {
    let changes: &[Change] = &[
        ("script", |at| {
            fs::write(at.join("setup.sh"), "#!/bin/sh\nfalse\n").unwrap()
        }),
        ("file in a tree", |at| {
            fs::write(at.join("src/app.py"), "pass\n").unwrap()
        }),
        ("new file", |at| fs::write(at.join("src/new"), "").unwrap()),
        ("renamed file", |at| {
            fs::rename(at.join("src/app.py"), at.join("src/b.py")).unwrap()
        }),
        ("executable bit", |at| {
            fs::set_permissions(at.join("src/app.py"), fs::Permissions::from_mode(0o755)).unwrap();
        }),
        ("link", |at| {
            fs::remove_file(at.join("src/main.py")).unwrap();
            symlink("static", at.join("src/main.py")).unwrap();
        }),
        ("empty directory", |at| {
            fs::create_dir(at.join("src/empty")).unwrap()
        }),
        ("template", |at| {
            fs::write(at.join("app.conf"), "r = {{ release }}\n").unwrap()
        }),
        ("variable", |at| {
            replace(&at.join("recipe.toml"), "\"dev\"", "\"1.0\"")
        }),
        ("owner", |at| {
            replace(&at.join("recipe.toml"), "www-data", "app")
        }),
        ("package", |at| {
            replace(&at.join("recipe.toml"), "\"nginx\"", "\"nginx-full\"")
        }),
        ("check", |at| {
            replace(
                &at.join("recipe.toml"),
                "path = \"/srv/app\"",
                "path = \"/srv\"",
            )
        }),
        ("tag", |at| {
            replace(&at.join("recipe.toml"), "\"web\"", "\"shop\"")
        }),
        ("source", |at| {
            replace(&at.join("recipe.toml"), "18.04", "20.04")
        }),
        ("name", |at| {
            replace(&at.join("recipe.toml"), "name = \"app\"", "name = \"shop\"")
        }),
    ];
    let root = tempfile::tempdir().unwrap();
    project(&root.path().join("original"));
    let mut digests = vec![read(&root.path().join("original")).digest];
    for (what, change) in changes {
        let at = root.path().join(what);
        project(&at);
        change(&at);
        let digest = read(&at).digest;
        assert!(!digests.contains(&digest), "{what} makes no difference");
        digests.push(digest);
    }
}

#[test]
fn a_digest_is_blind_to_what_the_image_does_not_show() {
    let root = tempfile::tempdir().unwrap();
    project(root.path());
    let before = read(root.path());
    let recipe = root.path().join("recipe.toml");
    replace(
        &recipe,
        "timeout = \"20m\"",
        "timeout = \"40m\"\ninstance_types = [\"c5.large\"]\nssh_user = \"admin\"",
    );
    replace(
        &recipe,
        "apt = [\"nginx\"]",
        "apt = [\"nginx\"] # the web server\nname = \"web server\"\ntimeout = \"5m\"",
    );
    assert_eq!(read(root.path()).digest, before.digest);
}

#[test]
fn a_layers_key_stands_for_it_and_all_below_and_not_for_the_source() {
    let root = tempfile::tempdir().unwrap();
    project(root.path());
    let before = read(root.path());
    let recipe = root.path().join("recipe.toml");
    fs::write(root.path().join("setup.sh"), "#!/bin/sh\nfalse\n").unwrap();
    let last_changed = read(root.path());
    assert_eq!(last_changed.layers[0].key, before.layers[0].key);
    assert_ne!(last_changed.layers[1].key, before.layers[1].key);
    replace(&recipe, "\"nginx\"", "\"apache2\"");
    let both_changed = read(root.path());
    assert_ne!(both_changed.layers[0].key, before.layers[0].key);
    assert_ne!(both_changed.layers[1].key, last_changed.layers[1].key);
    replace(
        &recipe,
        "{ ubuntu = \"18.04\" }",
        "{ ami = \"ami-12345678\" }",
    );
    assert_eq!(read(root.path()).layers[1].key, both_changed.layers[1].key);
}

fn apt(packages: &[String]) -> Step {
    Step {
        title: String::new(),
        timeout: None,
        action: Action::Apt(Apt {
            packages: packages.to_vec(),
            upgrade: None,
        }),
    }
}

proptest! {
    /// However values are cut into words, steps and layers, no two cuts look the same.
    #[test]
    fn different_layers_have_different_keys(
        one in prop::collection::vec(prop::collection::vec(prop::collection::vec("[ab]{0,2}", 0..3), 0..3), 1..3),
        other in prop::collection::vec(prop::collection::vec(prop::collection::vec("[ab]{0,2}", 0..3), 0..3), 1..3),
    ) {
        let key = |layers: &Vec<Vec<Vec<String>>>| {
            let steps: Vec<Vec<Step>> = layers
                .iter()
                .map(|steps| steps.iter().map(|packages| apt(packages)).collect())
                .collect();
            digest::layer_keys(steps.iter().map(Vec::as_slice))
        };
        prop_assert_eq!(key(&one).last() == key(&other).last(), one == other);
    }
}

/// `app` stands on `base`, which lies beside it.
fn two_recipes(root: &Path) {
    project(&root.join("base"));
    replace(
        &root.join("base/recipe.toml"),
        "name = \"app\"",
        "name = \"base\"",
    );
    fs::create_dir(root.join("app")).unwrap();
    let app = "[image]\nname = \"app\"\nfrom = \"../base\"\n[build]\nssh_user = \"admin\"\n\
               [[layer]]\nname = \"code\"\n[[layer.step]]\nrun = \"id\"\n[[check]]\nport = 80\n";
    fs::write(root.join("app/recipe.toml"), app).unwrap();
}

#[test]
fn a_base_comes_first_with_its_own_files_and_what_it_says_of_the_build() {
    let root = tempfile::tempdir().unwrap();
    two_recipes(root.path());
    let recipe = read(&root.path().join("app"));
    let layers: Vec<(&str, &str)> = recipe
        .layers
        .iter()
        .map(|layer| (layer.recipe.as_str(), layer.name.as_str()))
        .collect();
    assert_eq!(
        layers,
        [("base", "system"), ("base", "code"), ("app", "code")]
    );
    assert_eq!(recipe.source, Source::Ubuntu("18.04".into()));
    assert_eq!(recipe.checks.len(), 2);
    assert_eq!(
        recipe.build.timeout,
        Duration::from_secs(20 * 60),
        "the base's"
    );
    assert_eq!(recipe.build.ssh_user, "admin", "its own");
    assert!(recipe.tags.is_empty(), "an image's tags are its own");
    let base = read(&root.path().join("base"));
    assert_eq!(
        recipe.layers[1].key, base.layers[1].key,
        "the base's layers can be shared"
    );
}

#[test]
fn a_recipe_file_can_be_named_itself() {
    let root = tempfile::tempdir().unwrap();
    project(root.path());
    let named = read(&root.path().join("recipe.toml"));
    assert_eq!(named.digest, read(root.path()).digest);
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The value that the script step gets.
fn release(at: &Path, given: &[(&str, &str)], environment: &[(&str, &str)]) -> String {
    let outside = Outside {
        given: pairs(given),
        environment: pairs(environment),
        ..Outside::default()
    };
    let recipe = load(at, &outside).unwrap();
    match &recipe.layers[1].steps[1].action {
        Action::Run(run) => run.env["RELEASE"].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_variable_is_given_or_from_the_environment_or_by_default() {
    let root = tempfile::tempdir().unwrap();
    project(root.path());
    assert_eq!(release(root.path(), &[], &[]), "dev");
    assert_eq!(release(root.path(), &[], &[("RELEASE", "1.4")]), "1.4");
    assert_eq!(
        release(root.path(), &[("release", "2")], &[("RELEASE", "1.4")]),
        "2"
    );
}

#[test]
fn a_value_that_no_recipe_asks_for_is_refused() {
    let root = tempfile::tempdir().unwrap();
    project(root.path());
    let outside = Outside {
        given: pairs(&[("relese", "1")]),
        environment: BTreeMap::new(),
        ..Outside::default()
    };
    assert_eq!(
        refused(root.path(), &outside),
        ["--var relese: no recipe has a variable `relese`"]
    );
}

#[test]
fn a_value_is_taken_literally_whatever_it_holds() {
    let root = tempfile::tempdir().unwrap();
    project(root.path());
    let strange = "{{ release }} {% raw %} '\"$(id)";
    assert_eq!(release(root.path(), &[("release", strange)], &[]), strange);
}

#[test]
fn problems_of_both_recipes_come_together() {
    let root = tempfile::tempdir().unwrap();
    two_recipes(root.path());
    replace(
        &root.path().join("app/recipe.toml"),
        "run = \"id\"",
        "rnu = \"id\"",
    );
    replace(
        &root.path().join("base/recipe.toml"),
        "timeout = \"20m\"",
        "timeout = 20",
    );
    assert_eq!(
        refused(&root.path().join("app"), &Outside::default()),
        [
            "a step must do one thing",
            "`timeout` in [build] must be a string"
        ]
    );
}

#[test]
fn special_files_and_unreadable_trees_are_refused() {
    let root = tempfile::tempdir().unwrap();
    project(root.path());
    let socket = root.path().join("src/socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let told = refused(root.path(), &Outside::default());
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("can't read "), "{told:?}");
}

proptest! {
    /// Whatever stands in the file, the answer is a recipe or a list of problems that can be shown.
    #[test]
    fn no_text_breaks_the_reader(cut in 0..RECIPE.len(), insert in "[\\[\\]{}=\"'\n\\\\a-z0-9ü#.]{0,6}") {
        let root = tempfile::tempdir().unwrap();
        project(root.path());
        let mut text = RECIPE.to_owned();
        text.insert_str(text.floor_char_boundary(cut), &insert);
        fs::write(root.path().join("recipe.toml"), &text).unwrap();
        if let Err(problems) = load(root.path(), &Outside::default()) {
            prop_assert!(!problems.render(false).is_empty());
            prop_assert!(problems.iter().all(|p| !p.to_record().message.is_empty()));
        }
    }
}

/// A package, by its first bytes.
const PACKAGE: &str = "!<arch>\ndebian-binary   ";

/// [`project`], with an agent.
fn project_with_agent(at: &Path) {
    project(at);
    let recipe = format!("{RECIPE}\n[agent]\nconfig = \"agent.toml\"\npackage = \"agent.deb\"\n");
    fs::write(at.join("recipe.toml"), recipe).unwrap();
    fs::write(
        at.join("agent.toml"),
        "[[file]]\npath = \"/var/log/syslog\"\ngroup = \"{{ release }}\"\n",
    )
    .unwrap();
    fs::write(at.join("agent.deb"), PACKAGE).unwrap();
}

#[test]
fn the_agent_is_the_last_layer_with_a_key_of_its_content() {
    let root = tempfile::tempdir().unwrap();
    let (one, other) = (root.path().join("one"), root.path().join("a/b/other"));
    project_with_agent(&one);
    project_with_agent(&other);
    let recipe = read(&one);
    let layer = recipe.layers.last().unwrap();
    assert_eq!(
        (layer.name.as_str(), layer.recipe.as_str()),
        ("agent", "app")
    );
    assert_eq!(layer.key, read(&other).layers.last().unwrap().key);

    let changes: &[Change] = &[
        ("package", |at| {
            fs::write(at.join("agent.deb"), format!("{PACKAGE}2")).unwrap();
        }),
        ("configuration", |at| {
            replace(&at.join("agent.toml"), "syslog", "messages");
        }),
        ("variable", |at| {
            replace(&at.join("recipe.toml"), "\"dev\"", "\"1.0\"");
        }),
        ("groups", |at| {
            replace(
                &at.join("recipe.toml"),
                "package =",
                "groups = [\"app\"]\npackage =",
            );
        }),
    ];
    for (what, change) in changes {
        let changed = root.path().join(what);
        project_with_agent(&changed);
        change(&changed);
        assert_ne!(
            read(&changed).layers.last().unwrap().key,
            layer.key,
            "{what}"
        );
    }
}

#[test]
fn the_agent_is_enabled_and_never_started() {
    let root = tempfile::tempdir().unwrap();
    project_with_agent(root.path());
    let recipe = read(root.path());
    let steps = &recipe.layers.last().unwrap().steps;
    let services: Vec<(bool, bool)> = steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Service(service) => Some((service.enable, service.start)),
            _ => None,
        })
        .collect();
    assert_eq!(services, [(true, false)]);
    assert!(recipe.checks.iter().any(|check| {
        check.condition
            == Condition::Service {
                name: "baker-agent.service".into(),
                active: false,
                enabled: true,
            }
    }));
}

#[test]
fn an_agent_that_no_recipe_names_is_the_one_given_or_the_one_beside() {
    let root = tempfile::tempdir().unwrap();
    project_with_agent(root.path());
    replace(
        &root.path().join("recipe.toml"),
        "package = \"agent.deb\"\n",
        "",
    );
    let beside = tempfile::tempdir().unwrap();
    let outside = |given: Option<&str>| Outside {
        agent: given.map(|name| beside.path().join(name)),
        beside: Some(beside.path().to_path_buf()),
        ..Outside::default()
    };
    let sent = |outside: &Outside| -> (std::path::PathBuf, String) {
        let recipe = load(root.path(), outside).unwrap();
        match &recipe.layers.last().unwrap().steps[0].action {
            Action::Upload(upload) => (upload.from.clone(), upload.to.clone()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        refused(root.path(), &outside(None)),
        ["there is no baker-agent to install"]
    );
    fs::write(beside.path().join("baker-agent"), "\x7fELF").unwrap();
    assert_eq!(
        sent(&outside(None)),
        (
            beside.path().join("baker-agent"),
            "/usr/bin/baker-agent".into()
        )
    );
    fs::write(beside.path().join("mine.deb"), PACKAGE).unwrap();
    assert_eq!(
        sent(&outside(Some("mine.deb"))),
        (
            beside.path().join("mine.deb"),
            "/run/baker/baker-agent.deb".into()
        )
    );
    fs::write(beside.path().join("notes"), "a text").unwrap();
    let told = refused(root.path(), &outside(Some("notes")));
    assert!(
        told[0].contains("neither a Debian package nor a program"),
        "{told:?}"
    );
}

#[test]
fn a_recipe_takes_from_its_base_what_it_does_not_say_of_the_agent() {
    let root = tempfile::tempdir().unwrap();
    project_with_agent(&root.path().join("base"));
    let top = root.path().join("top");
    fs::create_dir(&top).unwrap();
    fs::write(
        top.join("recipe.toml"),
        "[image]\nname = \"top\"\nfrom = \"../base\"\n[agent]\nconfig = \"mine.toml\"\n",
    )
    .unwrap();
    fs::write(top.join("mine.toml"), "[[file]]\npath = \"/mine\"\n").unwrap();
    let recipe = read(&top);
    let agents: Vec<&Layer> = recipe
        .layers
        .iter()
        .filter(|layer| layer.name == "agent")
        .collect();
    assert_eq!(agents.len(), 1, "one agent in an image");
    assert_eq!(agents[0].recipe, "top");
    let texts: Vec<&str> = agents[0]
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Template(template) => Some(template.content.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["[[file]]\npath = \"/mine\"\n"]);
}
