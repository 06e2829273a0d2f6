//! Opening a path without being led, by a symbolic link, to what whoever made the link could not read.
//!
//! The agent's user reads files that others may not, such as `/var/log/auth.log`. A link in a folder that a service or everybody may write
//! to would have it ship them. So a path is walked part by part, each link is judged by its owner, and what is judged at the end is
//! the file that was opened, not its name.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, fstat};

/// As many as the kernel follows (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Which symbolic links are followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Links {
    /// None, in no part of a path.
    Never,
    /// Those that lead to what their owner could read.
    #[default]
    Readable,
    /// All.
    Always,
}

/// A link that is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// None is to be followed.
    #[error(
        "{} is a symbolic link, which `follow_symlinks = \"never\"` leaves alone; name the file itself, or say \"readable\"", link.display()
    )]
    Link { link: PathBuf },
    /// It leads to what its owner could not read.
    #[error(
        "the symbolic link {} belongs to user {owner}, who could not read what it leads to, {}: it is not followed, so that nobody has the \
         agent ship what is not theirs; give the link to root (`chown -h root`), or say `follow_symlinks = \"always\"` for this \
         [[file]] if only you can write to its folder",
        link.display(), target.display()
    )]
    Unreadable {
        link: PathBuf,
        owner: u32,
        target: PathBuf,
    },
}

/// Whoever made a link, if that says nothing of whether it may be followed.
#[derive(Debug)]
struct Maker {
    uid: u32,
    link: PathBuf,
}

/// Opens a file for reading, without waiting for anybody (a FIFO that took its place would). A path without links costs one call.
///
/// # Errors
/// Of the kernel's, or with [`Refused`] inside.
pub(crate) fn open(path: &Path, links: Links) -> io::Result<File> {
    if links == Links::Always {
        return std::fs::OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits())
            .open(path);
    }
    let how = OpenHow::new()
        .flags(reading())
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    match openat2(AT_FDCWD, path, how) {
        Ok(file) => Ok(File::from(file)),
        // There is a link, or the kernel is older than 5.6, or a filter does not know the call.
        Err(Errno::ELOOP | Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => walk(path, links),
        Err(error) => Err(error.into()),
    }
}

/// Why a link was not followed, if that is why a file was not opened.
pub(crate) fn refusal(error: &io::Error) -> Option<&Refused> {
    error.get_ref()?.downcast_ref()
}

fn reading() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC
}

/// Of what stands at a name itself.
fn standing() -> OFlag {
    OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn root() -> nix::Result<OwnedFd> {
    nix::fcntl::open("/", standing() | OFlag::O_DIRECTORY, Mode::empty())
}

/// Goes along a path as the kernel does, link by link.
fn walk(path: &Path, links: Links) -> io::Result<File> {
    let mut directory = root()?;
    // Where `directory` is, for complaints alone.
    let mut here = PathBuf::from("/");
    let mut parts = parts_of(path.as_os_str());
    let mut makers: Vec<Maker> = Vec::new();
    let mut followed = 0;
    while let Some(part) = parts.pop() {
        if parts.is_empty() {
            match openat(
                &directory,
                part.as_os_str(),
                reading() | OFlag::O_NOFOLLOW,
                Mode::empty(),
            ) {
                Ok(file) => {
                    judge(&makers, may_read, &fstat(&file)?, &here.join(&part))?;
                    return Ok(File::from(file));
                }
                Err(Errno::ELOOP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let found = openat(&directory, part.as_os_str(), standing(), Mode::empty())?;
        let stat = fstat(&found)?;
        if stat.st_mode & libc::S_IFMT == libc::S_IFLNK {
            let link = here.join(&part);
            followed += 1;
            if links == Links::Never {
                return Err(refused(Refused::Link { link }));
            }
            if followed > LINKS_MAX {
                return Err(Errno::ELOOP.into());
            }
            if !is_trusted(stat.st_uid) {
                makers.push(Maker {
                    uid: stat.st_uid,
                    link,
                });
            }
            let target = readlinkat(&found, "")?;
            if target.as_bytes().first() == Some(&b'/') {
                directory = root()?;
                here = PathBuf::from("/");
            }
            parts.extend(parts_of(&target));
        } else if parts.is_empty() {
            // What was a link a moment ago: once more.
            parts.push(part);
            followed += 1;
            if followed > LINKS_MAX {
                return Err(Errno::ELOOP.into());
            }
        } else {
            judge(&makers, may_search, &stat, &here.join(&part))?;
            here.push(part);
            directory = found;
        }
    }
    Err(Errno::EISDIR.into())
}

/// The parts of a path, the last one first.
fn parts_of(path: &OsStr) -> Vec<OsString> {
    let parts = Path::new(path).components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut parts: Vec<OsString> = parts.collect();
    parts.reverse();
    parts
}

/// Links of the system's administrator, and of the agent's own user, are followed wherever they lead.
fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

/// Groups and access control lists are not asked: what a link's owner may read by them alone is refused.
fn may_read(uid: u32, stat: &FileStat) -> bool {
    stat.st_uid == uid || stat.st_mode & libc::S_IROTH != 0
}

fn may_search(uid: u32, stat: &FileStat) -> bool {
    stat.st_uid == uid || stat.st_mode & libc::S_IXOTH != 0
}

/// Whether all who made the links up to here could go on from here.
fn judge(
    makers: &[Maker],
    may: fn(u32, &FileStat) -> bool,
    stat: &FileStat,
    target: &Path,
) -> io::Result<()> {
    match makers.iter().find(|maker| !may(maker.uid, stat)) {
        None => Ok(()),
        Some(maker) => Err(refused(Refused::Unreadable {
            link: maker.link.clone(),
            owner: maker.uid,
            target: target.to_path_buf(),
        })),
    }
}

fn refused(why: Refused) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs::{self, Permissions};
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};

    use tempfile::TempDir;

    use super::*;

    /// Users that need not be there.
    const ALICE: u32 = 61_001;
    const BOB: u32 = 61_002;

    fn read(path: &Path, links: Links) -> Result<String, String> {
        let mut text = String::new();
        let mut file = open(path, links).map_err(|error| error.to_string())?;
        file.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        folder
    }

    fn file(path: &Path, owner: u32, mode: u32) {
        fs::write(path, "text").unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        lchown(path, Some(owner), Some(owner)).unwrap();
    }

    fn link(target: impl AsRef<Path>, path: &Path, owner: u32) {
        symlink(target, path).unwrap();
        lchown(path, Some(owner), Some(owner)).unwrap();
    }

    /// Only root gives files away.
    fn is_root() -> bool {
        let root = nix::unistd::geteuid().is_root();
        if !root {
            eprintln!("not run: only root gives files to others");
        }
        root
    }

    #[test]
    fn a_path_without_links_is_opened_whatever_the_rule() {
        let folder = folder();
        let path = folder.path().canonicalize().unwrap().join("a.log");
        fs::write(&path, "text").unwrap();
        for links in [Links::Never, Links::Readable, Links::Always] {
            assert_eq!(read(&path, links).unwrap(), "text");
            assert_eq!(
                open(&path.with_file_name("b"), links).unwrap_err().kind(),
                io::ErrorKind::NotFound
            );
        }
        // What the walk does where the kernel can't tell.
        assert!(walk(&path, Links::Never).is_ok());
    }

    #[test]
    fn a_link_is_followed_to_what_its_owner_could_read() {
        if !is_root() {
            return;
        }
        // Owner and mode of the file, owner of the link.
        for (owner, mode, maker, followed) in [
            (0, 0o640, ALICE, false),
            (0, 0o644, ALICE, true),
            (BOB, 0o640, ALICE, false),
            (ALICE, 0o600, ALICE, true),
            (ALICE, 0o200, ALICE, true),
            (BOB, 0o600, 0, true),
            // Its group is not asked.
            (0, 0o660, ALICE, false),
        ] {
            let folder = folder();
            let (target, path) = (folder.path().join("target"), folder.path().join("a.log"));
            file(&target, owner, mode);
            link(&target, &path, maker);
            let case = format!("{owner} {mode:o} {maker}");
            let opened = open(&path, Links::Readable);
            assert_eq!(opened.is_ok(), followed, "{case}: {opened:?}");
            if let Err(error) = opened {
                let refused = Refused::Unreadable {
                    link: path.clone(),
                    owner: maker,
                    target: target.clone(),
                };
                assert_eq!(refusal(&error), Some(&refused), "{case}");
            }
            assert_eq!(read(&path, Links::Always).unwrap(), "text", "{case}");
            let never = open(&path, Links::Never).unwrap_err();
            let refused = Refused::Link { link: path };
            assert_eq!(refusal(&never), Some(&refused), "{case}");
        }
    }

    #[test]
    fn folders_on_the_way_count_after_a_link_and_not_before() {
        if !is_root() {
            return;
        }
        let folder = folder();
        let closed = folder.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
        file(&closed.join("open"), 0, 0o644);
        let path = folder.path().join("a.log");
        link(closed.join("open"), &path, ALICE);
        assert!(read(&path, Links::Readable).unwrap_err().contains("closed"));
        // In a closed folder of her own, she links to what all may read.
        fs::remove_file(&path).unwrap();
        file(&folder.path().join("open"), 0, 0o644);
        link("../open", &closed.join("a.log"), ALICE);
        assert_eq!(
            read(&closed.join("a.log"), Links::Readable).unwrap(),
            "text"
        );
    }

    #[test]
    fn each_link_of_a_chain_and_each_folder_that_is_one_is_judged() {
        if !is_root() {
            return;
        }
        let folder = folder();
        file(&folder.path().join("secret"), 0, 0o600);
        // Root's link leads to hers.
        link("secret", &folder.path().join("hers"), ALICE);
        link("hers", &folder.path().join("a.log"), 0);
        assert!(
            read(&folder.path().join("a.log"), Links::Readable)
                .unwrap_err()
                .contains("hers")
        );
        // Hers leads to root's, which leads there.
        link("secret", &folder.path().join("roots"), 0);
        link("roots", &folder.path().join("b.log"), ALICE);
        assert!(read(&folder.path().join("b.log"), Links::Readable).is_err());
        // A folder in the middle of the path is her link.
        fs::create_dir(folder.path().join("etc")).unwrap();
        file(&folder.path().join("etc/secret"), 0, 0o600);
        link("etc", &folder.path().join("app"), ALICE);
        assert!(
            read(&folder.path().join("app/secret"), Links::Readable)
                .unwrap_err()
                .contains("/app ")
        );
        file(&folder.path().join("etc/public"), 0, 0o644);
        assert_eq!(
            read(&folder.path().join("app/public"), Links::Readable).unwrap(),
            "text"
        );
        // As Kubernetes does it: links of root's, to files of others.
        fs::create_dir_all(folder.path().join("pods/x")).unwrap();
        file(&folder.path().join("pods/x/0.log"), BOB, 0o640);
        fs::create_dir(folder.path().join("containers")).unwrap();
        link(
            "../pods/x/0.log",
            &folder.path().join("containers/x.log"),
            0,
        );
        assert_eq!(
            read(&folder.path().join("containers/x.log"), Links::Readable).unwrap(),
            "text"
        );
    }

    #[test]
    fn links_that_lead_in_circles_end() {
        let folder = folder();
        let path = folder.path().join("a.log");
        symlink("a.log", &path).unwrap();
        let error = open(&path, Links::Readable).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ELOOP as i32));
        fs::remove_file(&path).unwrap();
        symlink("is-not-there", &path).unwrap();
        assert_eq!(
            open(&path, Links::Readable).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
