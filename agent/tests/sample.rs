//! The agent's look at this very machine, held to what other programs and other files of the kernel say of it.
//!
//! The machine goes on meanwhile. So each is asked before and after the agent looks, and what the agent saw has to lie between; what goes up and down
//! may have done both, and is looked at again.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::hint::black_box;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use baker_agent::clock::Now;
use baker_agent::derive::{Point, Rules, Wanted, derive, metrics};
use baker_agent::sample::{Collect, Families, Family, Root, Sample, Sampler};

/// So often what goes up and down is looked at again.
const LOOKS: usize = 500;

fn sampler(families: impl IntoIterator<Item = Family>) -> Sampler {
    let collect = Collect {
        families: families.into_iter().collect(),
        ..Collect::default()
    };
    Sampler::new(collect, Root::host())
}

fn look(sampler: &mut Sampler, begin: Instant) -> Sample {
    let now = Now {
        monotonic: begin.elapsed(),
        unix_ms: 0,
    };
    let (sample, troubles) = sampler.sample(now);
    assert_eq!(troubles, []);
    sample
}

fn points(before: Option<&Sample>, after: &Sample) -> Vec<Point> {
    let rules = Rules {
        wanted: Wanted::all(),
    };
    derive(before, after, &rules)
}

fn value(points: &[Point], name: &str, label: &str) -> f64 {
    points
        .iter()
        .find(|point| {
            point.name == name
                && (label.is_empty() || point.labels.iter().any(|(_, value)| value == label))
        })
        .unwrap_or_else(|| panic!("no {name} of {label:?}"))
        .value
}

/// What a command prints.
fn said(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output().unwrap();
    assert!(output.status.success(), "{command} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn range(one: f64, other: f64) -> RangeInclusive<f64> {
    one.min(other)..=one.max(other)
}

/// Looks until each of the numbers that `others` tells before and after is what the agent tells, or between the two.
fn agree<const N: usize>(
    family: Family,
    others: impl Fn() -> [f64; N],
    ours: impl Fn(&[Point]) -> [f64; N],
) {
    let mut sampler = sampler([family]);
    let mut last = None;
    let agreed = (0..LOOKS).any(|_| {
        let before = others();
        let seen = ours(&points(None, &look(&mut sampler, Instant::now())));
        let after = others();
        let fits = |i: usize| range(before[i], after[i]).contains(&seen[i]);
        let all = (0..N).all(fits);
        last = Some((before, seen, after));
        all
    });
    assert!(agreed, "{family:?}: before, ours, after: {last:?}");
}

#[test]
fn memory_is_what_free_says() {
    let row = |name: &str| {
        let said = said("free", &["-b", "-w"]);
        let row = said.lines().find(|line| line.starts_with(name)).unwrap();
        let numbers = row.split_whitespace().skip(1);
        numbers
            .map(|number| number.parse::<f64>().unwrap())
            .collect::<Vec<_>>()
    };
    // total used free shared buffers cache available; what is used, free(1) has counted in two ways over the years.
    let memory = || {
        let row = row("Mem:");
        [row[0], row[2], row[4], row[5], row[6]]
    };
    agree(Family::Mem, memory, |points| {
        ["total", "free", "buffered", "cached", "available"]
            .map(|name| value(points, &format!("mem_{name}"), ""))
    });
    let swap = || {
        let row = row("Swap:");
        [row[1], row[2]]
    };
    agree(Family::Swap, swap, |points| {
        ["used", "free"].map(|name| value(points, &format!("swap_{name}"), ""))
    });
}

#[test]
fn memory_in_use_is_what_is_left() {
    let points = points(None, &look(&mut sampler([Family::Mem]), Instant::now()));
    let of = |name: &str| value(&points, &format!("mem_{name}"), "");
    let used = of("total") - of("free") - of("buffered") - of("cached");
    assert_eq!(of("used"), used);
    assert!((of("used_percent") - 100.0 * used / of("total")).abs() < 1e-9);
}

#[test]
fn file_systems_are_what_df_says() {
    let sample = look(&mut sampler([Family::Disk]), Instant::now());
    let mounts = sample.mounts.unwrap();
    assert!(mounts.iter().any(|mount| &*mount.path == "/"));
    for mount in &mounts {
        let df = || {
            let columns = "--output=size,used,avail,itotal,iused,iavail";
            let said = said("df", &["-B1", columns, &mount.path]);
            let mut row = said.lines().nth(1).unwrap().split_whitespace();
            // A file system without a number of inodes has a dash there.
            [(); 6].map(|()| row.next().unwrap().parse::<f64>().unwrap_or_default())
        };
        agree(Family::Disk, df, |points| {
            [
                "total",
                "used",
                "free",
                "inodes_total",
                "inodes_used",
                "inodes_free",
            ]
            .map(|name| value(points, &format!("disk_{name}"), &mount.path))
        });
        // df rounds up.
        let percent = || {
            let said = said("df", &["--output=pcent", &mount.path]);
            let percent: f64 = said
                .lines()
                .nth(1)
                .unwrap()
                .trim()
                .trim_end_matches('%')
                .parse()
                .unwrap();
            [percent]
        };
        agree(Family::Disk, percent, |points| {
            [value(points, "disk_used_percent", &mount.path).ceil()]
        });
    }
}

/// Counters that only go up, asked before and after two looks: what the agent tells of the interval lies between what they did
/// at least and at most.
fn grew(family: Family, others: impl Fn() -> Vec<(String, String, u64)>, meanwhile: impl Fn()) {
    let mut sampler = sampler([family]);
    let begin = Instant::now();
    let first_before = others();
    let before = look(&mut sampler, begin);
    let first_after = others();
    meanwhile();
    let second_before = others();
    let after = look(&mut sampler, begin);
    let second_after = others();
    let points = points(Some(&before), &after);
    assert!(!first_before.is_empty());
    for i in 0..first_before.len() {
        let (name, label, _) = &first_before[i];
        let least = second_before[i].2 - first_after[i].2;
        let most = second_after[i].2 - first_before[i].2;
        let told = value(&points, name, label);
        assert!(
            (least as f64..=most as f64).contains(&told),
            "{name} of {label}: {least} to {most}, told {told}"
        );
    }
}

#[test]
fn devices_are_what_their_own_files_say() {
    let sample = look(&mut sampler([Family::DiskIo]), Instant::now());
    let names: Vec<String> = sample
        .disks
        .unwrap()
        .iter()
        .map(|disk| disk.name.to_string())
        .collect();
    // iostat(1) reads the same file as the agent; this is another one, with the same fields (iostats.rst).
    let others = || {
        let mut told = Vec::new();
        for name in &names {
            let stat = fs::read_to_string(format!("/sys/class/block/{name}/stat")).unwrap();
            let stat: Vec<u64> = stat
                .split_whitespace()
                .map(|number| number.parse().unwrap())
                .collect();
            for (metric, number) in [
                ("reads", stat[0]),
                ("read_bytes", 512 * stat[2]),
                ("read_time", stat[3]),
                ("writes", stat[4]),
                ("write_bytes", 512 * stat[6]),
                ("write_time", stat[7]),
                ("io_time", stat[9]),
                ("weighted_io_time", stat[10]),
            ] {
                told.push((format!("diskio_{metric}"), name.clone(), number));
            }
        }
        told
    };
    if names.is_empty() {
        return;
    }
    grew(Family::DiskIo, others, || {
        let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(file.path(), vec![7; 1 << 20]).unwrap();
        file.as_file().sync_all().unwrap();
    });
}

#[test]
fn interfaces_are_what_their_own_files_say() {
    let sample = look(&mut sampler([Family::Net]), Instant::now());
    // Bridges and tunnels may come and go with other tests; what has a device stays.
    let stays = |name: &String| {
        Path::new("/sys/class/net")
            .join(name)
            .join("device")
            .exists()
    };
    let interfaces = sample.interfaces.unwrap();
    let names = interfaces
        .iter()
        .map(|interface| interface.name.to_string());
    let names: Vec<String> = names.filter(stays).collect();
    let others = || {
        let mut told = Vec::new();
        for name in &names {
            for (metric, file) in [
                ("bytes_recv", "rx_bytes"),
                ("packets_recv", "rx_packets"),
                ("err_in", "rx_errors"),
                ("bytes_sent", "tx_bytes"),
                ("packets_sent", "tx_packets"),
                ("err_out", "tx_errors"),
                ("drop_out", "tx_dropped"),
            ] {
                let path = format!("/sys/class/net/{name}/statistics/{file}");
                let number = fs::read_to_string(path).unwrap().trim().parse().unwrap();
                told.push((format!("net_{metric}"), name.clone(), number));
            }
        }
        told
    };
    if names.is_empty() {
        return;
    }
    grew(Family::Net, others, || {});
}

/// Time of all processors, and of it the idle time, in ticks.
fn ticks() -> (u64, u64) {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let line = stat.lines().next().unwrap();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(|ticks| ticks.parse().unwrap())
        .collect();
    (ticks[..8].iter().sum(), ticks[3])
}

#[test]
fn processors_are_as_busy_as_they_are() {
    let mut sampler = sampler([Family::Cpu]);
    let begin = Instant::now();
    let outer = ticks();
    let before = look(&mut sampler, begin);
    let inner = ticks();
    // Ten ticks at least, however they are spent.
    while ticks().0 < inner.0 + 10 {
        black_box(());
    }
    let inner = (inner, ticks());
    let after = look(&mut sampler, begin);
    let outer = (outer, ticks());
    let points = points(Some(&before), &after);
    let told = value(&points, "cpu_usage_idle", "cpu-total");
    let least = 100.0 * inner.1.1.saturating_sub(inner.0.1) as f64 / (outer.1.0 - outer.0.0) as f64;
    let most = 100.0 * outer.1.1.saturating_sub(outer.0.1) as f64 / (inner.1.0 - inner.0.0) as f64;
    // Idle time is known to go back by a tick.
    let tick = 100.0 / (inner.1.0 - inner.0.0) as f64;
    assert!(
        (least - tick..=most + tick).contains(&told),
        "{least} to {most}, told {told}"
    );
    assert!((value(&points, "cpu_usage_active", "cpu-total") - (100.0 - told)).abs() < 1e-9);
}

#[test]
fn processes_are_what_ps_says() {
    let ps = || {
        let said = said("ps", &["-e", "-o", "nlwp="]);
        let threads: Vec<f64> = said
            .lines()
            .map(|line| line.trim().parse().unwrap())
            .collect();
        // ps counts itself.
        [
            threads.len() as f64 - 1.0,
            threads.iter().sum::<f64>() - 1.0,
        ]
    };
    agree(Family::Processes, ps, |points| {
        ["total", "total_threads"].map(|name| value(points, &format!("processes_{name}"), ""))
    });
}

#[test]
fn load_is_what_another_library_says() {
    let others = || {
        let load = sysinfo::System::load_average().unwrap();
        [load.one, load.five, load.fifteen]
    };
    agree(Family::Load, others, |points| {
        ["system_load1", "system_load5", "system_load15"].map(|name| value(points, name, ""))
    });
}

#[test]
fn the_agents_own_figures_are_those_of_its_process() {
    let resident = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        [kib * 1024.0]
    };
    agree(Family::Agent, resident, |points| {
        [value(points, "baker_agent_rss", "")]
    });

    let mut sampler = sampler([Family::Agent]);
    let begin = Instant::now();
    let before = look(&mut sampler, begin);
    let cpu_ms = || {
        let sample = look(&mut self::sampler([Family::Agent]), begin);
        sample.own.unwrap().cpu_ms
    };
    let start_ms = cpu_ms();
    while cpu_ms() < start_ms + 50 {
        black_box(());
    }
    let after = look(&mut sampler, begin);
    let told = value(&points(Some(&before), &after), "baker_agent_cpu", "");
    let interval_ms = (after.at.monotonic - before.at.monotonic).as_secs_f64() * 1000.0;
    assert!(told * interval_ms / 100.0 > 49.9, "{told}");
}

#[test]
fn everything_is_told_of_this_host_without_a_trouble() {
    let mut sampler = sampler(Family::ALL);
    let begin = Instant::now();
    let before = look(&mut sampler, begin);
    let after = look(&mut sampler, begin);
    assert_eq!(Families::all(), Wanted::all().families());
    let points = points(Some(&before), &after);
    assert!(points.len() > 50, "{points:?}");
}

/// A family's section in docs/agent/metrics.md, and the rows of its table: metric, unit, whether it is of an interval.
fn documented() -> Vec<(String, String, Vec<[String; 3]>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/agent/metrics.md");
    let text = fs::read_to_string(path).unwrap();
    text.split("\n## ")
        .skip(1)
        .map(|section| {
            let (title, body) = section.split_once('\n').unwrap();
            let rows = body.lines().filter_map(|line| {
                let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
                let name = cells.next()?.trim_end_matches('`');
                Some([name, cells.next()?, cells.next()?].map(str::to_owned))
            });
            (title.to_owned(), body.to_owned(), rows.collect())
        })
        .collect()
}

#[test]
fn the_documentation_lists_every_metric_with_its_unit_and_dimensions() {
    let documented = documented();
    for metric in metrics() {
        let (_, body, rows) = documented
            .iter()
            .find(|(title, ..)| title == metric.family.word())
            .unwrap_or_else(|| panic!("no section {}", metric.family.word()));
        let row = rows.iter().find(|[name, ..]| name == metric.name);
        let [_, unit, _] = row.unwrap_or_else(|| panic!("{} is not listed", metric.name));
        assert_eq!(unit, metric.unit.word(), "{}", metric.name);
        let dimensions = body.lines().find(|line| !line.is_empty()).unwrap();
        assert_eq!(
            metric.labels.is_empty(),
            dimensions.starts_with("No dimension"),
            "{}",
            metric.name
        );
        for label in metric.labels {
            assert!(
                dimensions.contains(&format!("`{label}`")),
                "{label} of {}",
                metric.name
            );
        }
    }
}

#[test]
fn the_documentation_lists_nothing_else_and_says_which_are_of_an_interval() {
    let mut sampler = sampler(Family::ALL);
    let first = points(None, &look(&mut sampler, Instant::now()));
    for [name, _, kind] in documented().into_iter().flat_map(|(_, _, rows)| rows) {
        // What the agent tells of its log pipeline does not come from a look at the host.
        let Some(metric) = metrics().find(|metric| metric.name == name) else {
            assert!(name.starts_with("baker_agent_"), "{name} is not collected");
            continue;
        };
        let family_is_there = first.iter().any(|point| {
            metrics().any(|other| other.name == point.name && other.family == metric.family)
        });
        if family_is_there {
            let of_an_instant = first.iter().any(|point| point.name == metric.name);
            assert_eq!(of_an_instant, kind.is_empty(), "{name}");
        }
    }
}
