//! Whole hosts, out of folders.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::strategy::Strategy;

use super::*;

const NOW: Now = Now {
    monotonic: Duration::from_secs(1),
    unix_ms: 1_795_413_600_000,
};

/// A host of Ubuntu 18.04 on EC2, with Linux 4.15.
fn bionic() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/bionic")
}

fn everything() -> Collect {
    Collect {
        families: Families::all(),
        ..Collect::default()
    }
}

fn look(folder: impl Into<PathBuf>, collect: Collect) -> (Sample, Vec<Trouble>) {
    Sampler::new(collect, Root::fixture(folder)).sample(NOW)
}

#[test]
fn a_bionic_host_is_read_whole() {
    let (sample, troubles) = look(bionic(), everything());
    assert_eq!(troubles, []);
    assert_eq!(sample.at, NOW);

    let cpu = sample.cpu.unwrap();
    assert_eq!(
        (cpu.total.user, cpu.total.steal, cpu.cores.len()),
        (48_213, 644, 0)
    );

    let memory = sample.memory.unwrap();
    assert_eq!(memory.total_bytes, 3_977_720 * 1024);
    assert_eq!(memory.available_bytes, Some(2_466_708 * 1024));
    assert_eq!(memory.reclaimable_bytes, 238_372 * 1024);
    assert_eq!(sample.swap, Some(Swap::default()));
    assert_eq!(
        sample.load,
        Some(Load {
            one: 0.12,
            five: 0.08,
            fifteen: 0.03
        })
    );

    // Neither loop devices nor partitions.
    let disks = sample.disks.unwrap();
    let names: Vec<_> = disks.iter().map(|disk| &*disk.name).collect();
    assert_eq!(names, ["nvme1n1", "nvme0n1"]);
    assert_eq!(
        (disks[1].reads, disks[1].read_sectors, disks[1].read_ms),
        (17_604, 1_106_430, 8_744)
    );
    assert_eq!(
        (disks[1].writes, disks[1].written_sectors, disks[1].write_ms),
        (31_280, 1_562_834, 31_944)
    );
    assert_eq!(
        (
            disks[1].in_progress,
            disks[1].io_ms,
            disks[1].weighted_io_ms
        ),
        (0, 21_380, 21_432)
    );

    // Neither loopback, nor a container's end, nor what is down.
    let interfaces = sample.interfaces.unwrap();
    let names: Vec<_> = interfaces
        .iter()
        .map(|interface| &*interface.name)
        .collect();
    assert_eq!(names, ["ens5"]);

    let sockets = sample.sockets.unwrap();
    let expected = TcpStates {
        listen: 4,
        established: 3,
        time_wait: 2,
        close_wait: 1,
        syn_recv: 1,
        ..TcpStates::default()
    };
    assert_eq!((sockets.tcp, sockets.udp), (expected, 4));

    let processes = sample.processes.unwrap();
    let expected = Processes {
        total: 5,
        threads: 35,
        running: 1,
        sleeping: 2,
        blocked: 1,
        idle: 1,
        ..Processes::default()
    };
    assert_eq!(processes, expected);

    // The file system of / by its device's own name, the data volume, and nothing of a network, of memory, packed, or but a file.
    let mounts = sample.mounts.unwrap();
    let told: Vec<_> = mounts
        .iter()
        .map(|mount| (&*mount.path, &*mount.device, &*mount.fstype))
        .collect();
    assert_eq!(
        told,
        [
            ("/", "nvme0n1p1", "ext4"),
            ("/var/lib/jenkins", "nvme1n1", "ext4")
        ]
    );
    assert!(
        mounts
            .iter()
            .all(|mount| mount.available_bytes <= mount.total_bytes)
    );
    assert!(sample.own.unwrap().resident_bytes > 0);
}

#[test]
fn what_is_named_is_looked_at() {
    let collect = Collect {
        per_core: true,
        devices: Choice {
            only: vec!["nvme0n1p1".into(), "loop*".into()],
            except: vec!["loop1".into()],
        },
        interfaces: Choice {
            only: vec!["lo".into(), "veth*".into()],
            except: vec![],
        },
        ..everything()
    };
    let (sample, troubles) = look(bionic(), collect);
    assert_eq!(troubles, []);
    let numbers: Vec<u32> = sample
        .cpu
        .unwrap()
        .cores
        .iter()
        .map(|(number, _)| *number)
        .collect();
    assert_eq!(numbers, [0, 1]);
    let disks: Vec<_> = sample
        .disks
        .unwrap()
        .iter()
        .map(|disk| disk.name.to_string())
        .collect();
    assert_eq!(disks, ["loop0", "nvme0n1p1"]);
    let interfaces: Vec<_> = sample
        .interfaces
        .unwrap()
        .iter()
        .map(|interface| interface.name.to_string())
        .collect();
    assert_eq!(interfaces, ["lo", "veth1a2b3c4"]);
}

#[test]
fn a_named_mount_that_is_not_there_is_said() {
    let collect = Collect {
        mounts: vec!["/mnt".into()],
        ..everything()
    };
    let (sample, troubles) = look(bionic(), collect);
    assert_eq!(
        troubles,
        [Trouble::NotMounted {
            path: "/mnt".into()
        }]
    );
    assert_eq!(sample.mounts.unwrap().len(), 2);
}

#[test]
fn a_network_mount_is_asked_only_if_it_is_named() {
    let collect = Collect {
        mounts: vec!["/efs".into()],
        ..everything()
    };
    // In the folder there is no /efs: that the question fails tells that it was asked.
    let (_, troubles) = look(bionic(), collect);
    assert!(
        matches!(&troubles[..], [Trouble::Mount { path, .. }] if path == Path::new("/efs")),
        "{troubles:?}"
    );
}

#[test]
fn nothing_is_read_that_was_not_asked_for() {
    for family in Family::ALL {
        let collect = Collect {
            families: [family].into_iter().collect(),
            ..Collect::default()
        };
        let (sample, troubles) = look(bionic(), collect);
        assert_eq!(troubles, []);
        let told = [
            (Family::Cpu, sample.cpu.is_some()),
            (Family::Mem, sample.memory.is_some()),
            (Family::Swap, sample.swap.is_some()),
            (Family::Disk, sample.mounts.is_some()),
            (Family::DiskIo, sample.disks.is_some()),
            (Family::Net, sample.interfaces.is_some()),
            (Family::Netstat, sample.sockets.is_some()),
            (Family::Processes, sample.processes.is_some()),
            (Family::Load, sample.load.is_some()),
            (Family::Agent, sample.own.is_some()),
        ];
        for (other, told) in told {
            assert_eq!(
                told,
                other == family,
                "{other:?} when {family:?} was asked for"
            );
        }
    }
}

#[test]
fn a_host_without_anything_is_one_trouble_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (sample, troubles) = look(folder.path(), everything());
    let own = sample.own;
    assert_eq!(
        sample,
        Sample {
            own,
            ..Sample::empty(NOW)
        }
    );
    let mut paths: Vec<_> = troubles
        .iter()
        .map(|trouble| {
            assert!(matches!(trouble, Trouble::Unreadable { .. }), "{trouble:?}");
            trouble
                .path()
                .strip_prefix(folder.path())
                .unwrap_or(trouble.path())
                .to_path_buf()
        })
        .collect();
    paths.sort();
    let expected = [
        "/proc/diskstats",
        "/proc/loadavg",
        "/proc/meminfo",
        "/proc/net/dev",
        "/proc/net/sockstat",
        "/proc/self/mountinfo",
        "/proc/stat",
        "proc",
    ];
    assert_eq!(paths, expected.map(PathBuf::from));
}

/// The files of a folder, one by one.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

    /// Whatever a file of the kernel's holds: its family may be missing, the others are not.
    #[test]
    fn a_file_that_makes_no_sense_costs_its_own_family_at_most(
        which in 0..100_usize,
        nonsense in proptest::prop_oneof![
            proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2_000),
            "[ -~\n]{0,400}".prop_map(String::into_bytes),
        ],
        keep in 0..2_000_usize,
    ) {
        use proptest::prelude::*;
        let folder = tempfile::tempdir().unwrap();
        copy(&bionic(), folder.path());
        let mut proc = files(&folder.path().join("proc"));
        proc.sort();
        let victim = &proc[which % proc.len()];
        let mut bytes = fs::read(victim).unwrap();
        bytes.truncate(keep);
        bytes.extend(nonsense);
        fs::write(victim, bytes).unwrap();

        let (whole, _) = look(bionic(), everything());
        let (sample, _) = look(folder.path(), everything());
        let same = [
            sample.cpu == whole.cpu,
            (sample.memory, sample.swap) == (whole.memory, whole.swap),
            sample.load == whole.load,
            sample.disks == whole.disks,
            sample.interfaces == whole.interfaces,
            sample.sockets == whole.sockets,
            sample.processes == whole.processes,
            sample.mounts.map(|mounts| mounts.len()) == whole.mounts.map(|mounts| mounts.len()),
        ];
        let changed = same.iter().filter(|same| !**same).count();
        prop_assert!(changed <= 1, "{victim:?}: {same:?}");
    }
}
