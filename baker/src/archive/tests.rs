#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

fn file_entry(path: &str, content: &[u8], executable: bool) -> Entry {
    Entry {
        path: path.into(),
        kind: EntryKind::File {
            executable,
            size_bytes: content.len() as u64,
            sha256: digest(content),
        },
    }
}

fn directory_entry(path: &str) -> Entry {
    Entry {
        path: path.into(),
        kind: EntryKind::Directory,
    }
}

fn upload(from: &Path, access: Access, entries: Vec<Entry>) -> Upload {
    Upload {
        from: from.to_owned(),
        to: "/srv/app".into(),
        access,
        entries,
    }
}

fn archive(upload: &Upload) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write(upload, "app", &mut bytes)?;
    Ok(bytes)
}

/// Unpacks with the system's tar, as the host will.
fn unpack(bytes: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar")
        .args([
            "-x",
            "--use-compress-program=gzip --stdout --force",
            "-f",
            "-",
            "--no-same-owner",
            "-p",
            "-C",
        ])
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tar.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = tar.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert_eq!(complaint, "", "tar has something to complain about");
    folder
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_tree_arrives_with_modes_links_and_long_names() {
    let source = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(140));
    let long_target = "t".repeat(150);
    fs::create_dir(source.path().join("d".repeat(120))).unwrap();
    fs::write(source.path().join(&long), "long").unwrap();
    fs::write(source.path().join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::write(source.path().join("ü"), "").unwrap();
    symlink(&long_target, source.path().join("link")).unwrap();
    let upload = upload(
        source.path(),
        Access::default(),
        vec![
            directory_entry(""),
            directory_entry(&"d".repeat(120)),
            file_entry(&long, b"long", false),
            Entry {
                path: "link".into(),
                kind: EntryKind::Symlink {
                    target: long_target.clone(),
                },
            },
            file_entry("run.sh", b"#!/bin/sh\n", true),
            file_entry("ü", b"", false),
        ],
    );
    let host = unpack(&archive(&upload).unwrap());
    let at = |path: &str| host.path().join(path);
    assert_eq!(fs::read_to_string(at(&long)).unwrap(), "long");
    assert_eq!(fs::read_link(at("link")).unwrap(), Path::new(&long_target));
    assert_eq!(mode(&at("run.sh")), 0o755);
    assert_eq!(mode(&at("ü")), 0o644);
    assert_eq!(mode(&at("")), 0o755);
    let times = |path: &Path| fs::metadata(path).unwrap().mtime();
    assert_eq!(times(&at("run.sh")), times(&source.path().join("run.sh")));
}

#[test]
fn a_given_mode_opens_directories_and_executables() {
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("f"), "x").unwrap();
    fs::write(source.path().join("run"), "x").unwrap();
    let access = Access {
        mode: Some(0o640),
        ..Access::default()
    };
    let entries = vec![
        directory_entry(""),
        file_entry("f", b"x", false),
        file_entry("run", b"x", true),
    ];
    let host = unpack(&archive(&upload(source.path(), access, entries)).unwrap());
    assert_eq!(mode(host.path()), 0o750);
    assert_eq!(mode(&host.path().join("f")), 0o640);
    assert_eq!(mode(&host.path().join("run")), 0o750);
}

#[test]
fn owners_travel_by_name() {
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("f"), "x").unwrap();
    let access = Access {
        owner: Some("www-data".into()),
        group: Some("adm".into()),
        mode: None,
    };
    let entries = vec![file_entry("f", b"x", false)];
    let bytes = archive(&upload(source.path(), access, entries)).unwrap();
    // One byte is not worth compressing.
    let mut read = tar::Archive::new(&bytes[..]);
    let member = read.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(member.header().username().unwrap(), Some("www-data"));
    assert_eq!(member.header().groupname().unwrap(), Some("adm"));
}

#[test]
fn a_single_file_takes_the_name_of_its_destination() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("local.conf");
    fs::write(&path, "x").unwrap();
    let host = unpack(
        &archive(&upload(
            &path,
            Access::default(),
            vec![file_entry("", b"x", false)],
        ))
        .unwrap(),
    );
    assert_eq!(fs::read_to_string(host.path().join("app")).unwrap(), "x");
}

#[test]
fn the_same_tree_is_the_same_stream() {
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("f"), "x").unwrap();
    let upload = upload(
        source.path(),
        Access::default(),
        vec![file_entry("f", b"x", false)],
    );
    assert_eq!(archive(&upload).unwrap(), archive(&upload).unwrap());
}

/// The error's own words and those of its causes.
fn chain(error: &io::Error) -> String {
    let mut words = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = error.get_ref().map(|inner| inner as _);
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    words.join(": ")
}

#[test]
fn what_changed_since_the_recipe_was_read_is_an_error_with_its_path() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("f");
    for now in ["longer than it was", "s", "four", ""] {
        fs::write(&path, now).unwrap();
        let entries = vec![file_entry("f", b"abcd", false)];
        let error = archive(&upload(source.path(), Access::default(), entries)).unwrap_err();
        let words = chain(&error);
        assert!(
            words.starts_with(&format!("{} has changed", path.display())),
            "{now}: {words}"
        );
    }
}

#[test]
fn a_file_that_became_a_link_or_is_gone_is_an_error_with_its_path() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("f");
    let entries = vec![file_entry("f", b"abcd", false)];
    let upload = upload(source.path(), Access::default(), entries);
    let gone = chain(&archive(&upload).unwrap_err());
    assert!(
        gone.starts_with(&format!("cannot send {}: No such file", path.display())),
        "{gone}"
    );
    symlink("/etc/hostname", &path).unwrap();
    let link = chain(&archive(&upload).unwrap_err());
    assert!(
        link.starts_with(&format!("cannot send {}: ", path.display())),
        "{link}"
    );
}

/// Bytes that no compressor shrinks.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn only_what_shrinks_is_compressed_and_both_arrive() {
    const SIZE: usize = 300_000;
    let text = b"location / { proxy_pass http://127.0.0.1:8000; }\n".repeat(SIZE / 49);
    for (content, shrinks) in [(noise(SIZE), false), (text, true)] {
        let source = tempfile::tempdir().unwrap();
        fs::write(source.path().join("f"), &content).unwrap();
        let entries = vec![directory_entry(""), file_entry("f", &content, false)];
        let bytes = archive(&upload(source.path(), Access::default(), entries)).unwrap();
        assert_eq!(bytes.starts_with(&[0x1f, 0x8b]), shrinks);
        assert_eq!(bytes.len() < content.len() / 2, shrinks);
        let host = unpack(&bytes);
        assert_eq!(fs::read(host.path().join("f")).unwrap(), content);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_content_arrives_unchanged(files in proptest::collection::btree_map("[a-z]{1,110}", proptest::collection::vec(any::<u8>(), 0..3000), 0..8)) {
        let source = tempfile::tempdir().unwrap();
        let mut entries = vec![directory_entry("")];
        for (name, content) in &files {
            fs::write(source.path().join(name), content).unwrap();
            entries.push(file_entry(name, content, false));
        }
        let host = unpack(&archive(&upload(source.path(), Access::default(), entries)).unwrap());
        for (name, content) in &files {
            prop_assert_eq!(&fs::read(host.path().join(name)).unwrap(), content);
        }
    }
}
