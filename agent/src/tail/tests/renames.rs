//! Rotation by rename, deletion, and files that take another's place.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use super::desk::Desk;

#[test]
fn a_file_is_read_as_it_grows() {
    let mut desk = Desk::new(&["a.log"]);
    desk.settle();
    assert!(desk.seen.is_empty());
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_and_its_successor_from_the_start() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "three\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "three\n"]);
    assert_eq!(
        desk.seen.values().next().unwrap().path,
        desk.path("a.log.1")
    );
    assert_eq!(desk.lost_bytes(), 0);
}

#[test]
fn an_old_writer_that_goes_on_after_the_rename_is_followed() {
    let mut desk = Desk::new(&["*.log"]);
    let mut old = desk.writer("a.log");
    old.write_all(b"one\n").unwrap();
    desk.settle();
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "new\n");
    desk.settle();
    old.write_all(b"late\n").unwrap();
    desk.settle();
    for _ in 0..100 {
        desk.settle();
    }
    old.write_all(b"very late\n").unwrap();
    desk.settle();
    assert_eq!(desk.texts(), ["one\nlate\nvery late\n", "new\n"]);
}

#[test]
fn a_rotated_file_does_not_end_while_it_has_a_name() {
    let mut desk = Desk::new(&["a.log"]);
    for text in ["one\n", "two\n", "three\n"] {
        desk.append("a.log", text);
        desk.settle();
        if desk.path("a.log.1").exists() {
            desk.rename("a.log.1", "a.log.2");
        }
        desk.rename("a.log", "a.log.1");
        desk.settle();
    }
    for _ in 0..10 {
        desk.settle();
    }
    let ended =
        |desk: &Desk| -> Vec<Option<u64>> { desk.seen.values().map(|seen| seen.ended).collect() };
    assert_eq!(ended(&desk), [Some(4), None, None]);
    // `one` lost its name when `two` was renamed to it, but for its descriptor.
    desk.append("a.log.2", "late\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\n", "two\nlate\n", "three\n"]);
    desk.delete("a.log.2");
    for _ in 0..10 {
        desk.look_later();
    }
    assert_eq!(ended(&desk)[1], Some(9));
}

#[test]
fn two_rotations_between_two_looks_lose_nothing() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "more\n");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "two\n");
    desk.rename("a.log.1", "a.log.2");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "three\n");
    desk.settle();
    let mut texts = desk.texts();
    texts.sort();
    assert_eq!(texts, ["one\nmore\n", "three\n", "two\n"]);
}

#[test]
fn a_rotated_file_that_is_compressed_at_once_is_read_through_its_descriptor() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "three\n");
    desk.compress("a.log.1");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "three\n"]);
    desk.rename("a.log.1.gz", "a.log.2.gz");
    desk.rename("a.log", "a.log.1");
    desk.compress("a.log.1");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "three\n"]);
}

#[test]
fn copies_that_were_there_before_are_nobodys_business() {
    let mut desk = Desk::with(
        &["a.log"],
        crate::tail::Start::Beginning,
        super::desk::limits(),
        |folder| {
            fs::write(folder.join("a.log.1"), "old\n").unwrap();
            fs::write(folder.join("a.log.2"), "older\n").unwrap();
        },
    );
    desk.append("a.log", "one\n");
    desk.settle();
    // delaycompress: a copy that was there before gets a new inode.
    desk.rename("a.log.2", "a.log.3");
    desk.rename("a.log.1", "a.log.2");
    desk.compress("a.log.2");
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\n", "two\n"]);
}

#[test]
fn a_deleted_file_is_read_to_its_end_while_it_is_held() {
    let mut desk = Desk::new(&["a.log"]);
    let mut writer = desk.writer("a.log");
    writer.write_all(b"one\n").unwrap();
    desk.settle();
    writer.write_all(b"two\n").unwrap();
    desk.delete("a.log");
    desk.settle();
    writer.write_all(b"three\n").unwrap();
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\nthree\n"]);
    desk.append("a.log", "anew\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\nthree\n", "anew\n"]);
    for _ in 0..10 {
        desk.now += std::time::Duration::from_secs(61);
        desk.settle();
    }
    let first = |desk: &Desk| desk.seen.values().next().unwrap().ended;
    assert_eq!(first(&desk), None, "its writer holds it");
    drop(writer);
    for _ in 0..20 {
        desk.look_later();
    }
    assert_eq!(first(&desk), Some(14));
}

#[test]
fn a_file_replaced_by_a_rename_begins_anew() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.append("a.log", "two\n");
    desk.append("other", "fresh\n");
    desk.rename("other", "a.log");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n", "fresh\n"]);
}

#[test]
fn a_symlink_that_is_switched_leads_to_another_generation() {
    let mut desk = Desk::new(&["current"]);
    desk.append("day1", "one\n");
    symlink("day1", desk.path("current")).unwrap();
    desk.settle();
    desk.append("day1", "two\n");
    desk.append("day2", "three\n");
    fs::remove_file(desk.path("current")).unwrap();
    symlink("day2", desk.path("current")).unwrap();
    desk.append("day1", "late\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\nlate\n", "three\n"]);
    assert_eq!(desk.seen.values().next().unwrap().path, desk.path("day1"));
}

#[test]
fn a_link_beside_its_file_is_not_read_twice() {
    let mut desk = Desk::new(&["*.log"]);
    desk.append("app-1.log", "one\n");
    symlink("app-1.log", desk.path("app.log")).unwrap();
    fs::hard_link(desk.path("app-1.log"), desk.path("second.log")).unwrap();
    desk.settle();
    desk.append("app-1.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n"]);
}

#[test]
fn a_file_moved_among_followed_paths_keeps_its_generation() {
    let mut desk = Desk::new(&["*.log"]);
    desk.append("a.log", "one\n");
    desk.settle();
    desk.rename("a.log", "b.log");
    desk.append("b.log", "two\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\n"]);
    assert_eq!(desk.seen.values().next().unwrap().path, desk.path("b.log"));
}

#[test]
fn a_replaced_parent_directory_is_noticed() {
    let mut desk = Desk::new(&["app/*.log"]);
    fs::create_dir(desk.path("app")).unwrap();
    desk.append("app/a.log", "one\n");
    desk.settle();
    desk.append("app/a.log", "two\n");
    desk.rename("app", "app-old");
    fs::create_dir(desk.path("app")).unwrap();
    desk.append("app/a.log", "three\n");
    desk.append("app-old/a.log", "late\n");
    desk.settle();
    assert_eq!(desk.texts(), ["one\ntwo\nlate\n", "three\n"]);
}

#[test]
fn a_used_again_inode_is_told_apart_by_its_head() {
    // Without a descriptor on it, the kernel gives the inode away at once.
    let mut limits = super::desk::limits();
    limits.open_files = 1;
    let mut desk = Desk::with(&["*.log"], crate::tail::Start::Beginning, limits, |_| {});
    desk.append("a.log", "first\n");
    desk.settle();
    desk.append("b.log", "other\n");
    desk.settle();
    let inode = desk.seen.values().next().unwrap().identity.inode;
    desk.delete("a.log");
    desk.append("a.log", "second, and longer\n");
    desk.settle();
    desk.settle();
    let mut texts = desk.texts();
    texts.sort();
    assert_eq!(texts, ["first\n", "other\n", "second, and longer\n"]);
    // Some file systems do not use an inode again at once: then this was another case.
    let again = desk.seen.values().last().unwrap().identity.inode;
    eprintln!("inode {inode}, then {again}");
}

/// Apache's workers, without delaycompress.
#[test]
fn a_copy_that_was_compressed_before_the_last_lines_came_is_not_read_again() {
    let mut desk = Desk::new(&["a.log"]);
    let mut writer = desk.writer("a.log");
    let lines: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    writer.write_all(lines.as_bytes()).unwrap();
    desk.settle();
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "new\n");
    desk.settle();
    desk.copy("a.log.1", "packed");
    writer.write_all(b"late\n").unwrap();
    desk.settle();
    desk.compress("packed");
    desk.delete("a.log.1");
    desk.rename("packed.gz", "a.log.1.gz");
    desk.settle();
    assert_eq!(desk.texts(), [lines + "late\n", "new\n".to_owned()]);
}

#[test]
fn what_is_added_to_a_file_that_was_rotated_twice_is_read_also_after_a_restart() {
    let mut desk = Desk::new(&["a.log"]);
    let mut writer = desk.writer("a.log");
    writer.write_all(b"one\n").unwrap();
    desk.settle();
    for text in ["two\n", "three\n"] {
        if desk.path("a.log.1").exists() {
            desk.rename("a.log.1", "a.log.2");
        }
        desk.rename("a.log", "a.log.1");
        desk.append("a.log", text);
        desk.settle();
    }
    desk.now += std::time::Duration::from_secs(600);
    desk.settle();
    writer.write_all(b"late\n").unwrap();
    desk.settle();
    assert_eq!(desk.texts(), ["one\nlate\n", "two\n", "three\n"]);
    desk.restart();
    writer.write_all(b"later\n").unwrap();
    desk.settle();
    assert_eq!(desk.all_text(), "later\n");
}

#[test]
fn deleted_files_are_let_go_and_forgotten_but_for_the_last() {
    let mut desk = Desk::new(&["a.log"]);
    for round in 0..10 {
        desk.append("a.log", &format!("{round}\n"));
        desk.settle();
        desk.delete("a.log");
        desk.settle();
    }
    for _ in 0..30 {
        desk.look_later();
    }
    assert_eq!(desk.files.open_files(), 0);
    let ids: Vec<_> = desk.seen.keys().copied().collect();
    let kept = ids.into_iter().filter(|&id| !desk.files.forget(id)).count();
    assert_eq!(kept, 1);
    assert_eq!(desk.texts().concat(), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
}

/// An editor, or a backup that is restored: another file at the path, with what was read.
#[test]
fn a_file_that_was_replaced_by_one_with_the_same_content_goes_on() {
    let lines: String = (0..300).map(|n| format!("line {n}\n")).collect();
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", &lines);
    desk.settle();
    desk.append("edited", &format!("{lines}added\n"));
    desk.rename("edited", "a.log");
    desk.settle();
    assert_eq!(desk.texts(), [lines.clone(), "added\n".to_owned()]);
    desk.append("edited", &lines.replace("line 7\n", ""));
    desk.rename("edited", "a.log");
    desk.settle();
    assert_eq!(desk.texts()[2], lines.replace("line 7\n", ""));
    let restored = desk.path("restored");
    fs::copy(desk.path("a.log"), &restored).unwrap();
    let modified = fs::metadata(desk.path("a.log")).unwrap().modified();
    fs::File::options()
        .append(true)
        .open(&restored)
        .unwrap()
        .set_modified(modified.unwrap())
        .unwrap();
    desk.rename("restored", "a.log");
    desk.settle();
    assert_eq!(desk.texts().concat().len(), 2 * lines.len() + 6 - 7);
}

/// Many logs in one folder: while another one's rotation is looked at, a compressed copy of this one appears, and its
/// path was looked at before. Real logrotate with 30 files and a busy machine: 2 to 4 % of the lines came twice.
#[test]
fn a_compressed_copy_that_is_seen_before_its_file_is_missed_is_not_read_again() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", &"0123456789\n".repeat(200));
    desk.settle();
    let index = desk.files.by_path[&desk.path("a.log")];
    let directory = desk.files.slots[index].as_ref().unwrap().directory;
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "new\n");
    desk.compress("a.log.1");
    let now = desk.now;
    desk.files.refresh(directory, now);
    desk.files
        .fresh
        .push((directory, std::ffi::OsString::from("a.log.1.gz")));
    desk.files.look_at_fresh_names(now);
    desk.settle();
    assert_eq!(
        desk.texts(),
        ["0123456789\n".repeat(200), "new\n".to_owned()]
    );
}

/// Somebody packs what stands at the path, and leaves it there; at once, or in two members, of which the trailer tells only
/// the last.
#[test]
fn a_compressed_copy_of_the_live_file_is_no_news() {
    let text = "0123456789\n".repeat(200);
    for members in [vec![text.as_str()], vec![&text[..1100], &text[1100..]]] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", &text);
        desk.settle();
        for member in members {
            desk.append("member", member);
            desk.compress("member");
            let packed = fs::read(desk.path("member.gz")).unwrap();
            let mut backup = desk.writer("backup");
            backup.write_all(&packed).unwrap();
        }
        desk.rename("backup", "a.log.1.gz");
        desk.append("a.log", "new\n");
        desk.settle();
        assert_eq!(desk.texts(), [text.clone() + "new\n"]);
    }
}

/// What came and went between two looks, and is being compressed while it is found.
#[test]
fn a_compressed_copy_is_read_when_it_is_whole() {
    for damaged in [false, true] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", "first\n");
        desk.settle();
        desk.rename("a.log", "a.log.2");
        let missed: String = (0..5000).map(|n| format!("line {n}\n")).collect();
        desk.append("packed", &missed);
        desk.compress("packed");
        let whole = fs::read(desk.path("packed.gz")).unwrap();
        desk.delete("packed.gz");
        fs::write(desk.path("a.log.1.gz"), &whole[..whole.len() / 2]).unwrap();
        desk.append("a.log", "new\n");
        desk.settle();
        assert_eq!(desk.texts(), ["first\n", "new\n"]);
        if !damaged {
            fs::write(desk.path("a.log.1.gz"), &whole).unwrap();
        }
        for _ in 0..15 {
            desk.look_later();
            desk.settle();
        }
        let texts = desk.texts();
        let read = texts.iter().find(|text| text.starts_with("line"));
        match damaged {
            false => {
                assert!(read == Some(&missed), "not all of it, and nothing else");
                assert!(desk.troubles.is_empty(), "{:?}", desk.troubles);
            }
            true => {
                assert!(read.is_some_and(|read| missed.starts_with(read.as_str())));
                assert!(desk.troubles.contains_key(&desk.path("a.log.1.gz")));
            }
        }
    }
}

/// What a writer wrote last before it went on in the new file is to be read before what it wrote there.
#[test]
fn what_was_added_to_a_rotated_file_since_the_look_is_told() {
    let mut desk = Desk::new(&["a.log"]);
    let mut old = desk.writer("a.log");
    old.write_all(b"one\n").unwrap();
    desk.settle();
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", "");
    desk.settle();
    let new = *desk.seen.keys().next_back().unwrap();
    assert!(!desk.files.have_older_grown(new));
    old.write_all(b"late\n").unwrap();
    assert!(desk.files.have_older_grown(new));
    assert_eq!(desk.files.next_look(), std::time::Duration::ZERO);
    desk.settle();
    assert!(!desk.files.have_older_grown(new));
    assert_eq!(desk.texts(), ["one\nlate\n", ""]);
}

/// Rotated and compressed between two looks, with nothing in it but what the next one begins with, too.
#[test]
fn a_banner_that_was_rotated_and_compressed_at_once_is_not_the_next_ones() {
    let mut desk = Desk::new(&["a.log"]);
    let banner = format!("{}\n", "=".repeat(1500));
    desk.append("a.log", &banner);
    desk.settle();
    desk.rename("a.log", "a.log.1");
    desk.append("a.log", &banner);
    desk.compress("a.log.1");
    desk.settle();
    assert_eq!(desk.all_text(), banner.repeat(2));
}
