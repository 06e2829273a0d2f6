//! Two samples, and what they must tell.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::Now;
use crate::sample::{
    Cpu, Disk, Interface, Load, Memory, Mount, Own, Processes, Sockets, Swap, TcpStates, Ticks,
};

/// A sample of `seconds` after the agent's start, by a clock that tells the time of 2026.
fn at(seconds: u64) -> Sample {
    Sample::empty(Now {
        monotonic: Duration::from_secs(seconds),
        unix_ms: 1_795_413_600_000 + 1000 * i64::try_from(seconds).unwrap(),
    })
}

fn all() -> Rules {
    Rules {
        wanted: Wanted::all(),
    }
}

fn tell(before: &Sample, after: &Sample) -> Vec<Point> {
    derive(Some(before), after, &all())
}

/// The value of `name`, of what bears the label, if there is one.
fn value(points: &[Point], name: &str, label: Option<&str>) -> Option<f64> {
    let mut found = points.iter().filter(|point| {
        point.name == name
            && label.is_none_or(|label| point.labels.iter().any(|(_, value)| value == label))
    });
    let value = found.next().map(|point| point.value);
    assert_eq!(found.next(), None, "{name} of {label:?} is told once");
    value
}

/// Whether anything is told under names that begin so.
fn tells(points: &[Point], prefix: &str) -> bool {
    points.iter().any(|point| point.name.starts_with(prefix))
}

fn ticks(user: u64, system: u64, idle: u64) -> Ticks {
    Ticks {
        user,
        system,
        idle,
        ..Ticks::default()
    }
}

fn cpu(total: Ticks) -> Option<Cpu> {
    Some(Cpu {
        total,
        cores: Vec::new(),
    })
}

fn disk(name: &str, all: u64) -> Disk {
    Disk {
        name: name.into(),
        reads: all,
        read_sectors: all,
        read_ms: all,
        writes: all,
        written_sectors: all,
        write_ms: all,
        in_progress: 3,
        io_ms: all,
        weighted_io_ms: all,
    }
}

fn interface(name: &str, all: u64) -> Interface {
    Interface {
        name: name.into(),
        received_bytes: all,
        received_packets: all,
        received_errors: all,
        received_drops: all,
        sent_bytes: all,
        sent_packets: all,
        sent_errors: all,
        sent_drops: all,
    }
}

#[test]
fn shares_are_of_the_processors_own_ticks() {
    let (mut before, mut after) = (at(0), at(60));
    before.cpu = cpu(Ticks {
        iowait: 5,
        guest: 100,
        ..ticks(1_000, 500, 10_000)
    });
    after.cpu = cpu(Ticks {
        iowait: 15,
        guest: 110,
        steal: 10,
        nice: 20,
        guest_nice: 15,
        ..ticks(1_030, 510, 10_020)
    });
    let points = tell(&before, &after);
    for (name, expected) in [
        ("user", 20.0),
        ("guest", 10.0),
        ("system", 10.0),
        ("iowait", 10.0),
        ("steal", 10.0),
        ("idle", 20.0),
        ("active", 80.0),
        ("nice", 5.0),
        ("irq", 0.0),
        ("softirq", 0.0),
        ("guest_nice", 15.0),
    ] {
        let name = format!("cpu_usage_{name}");
        let told = value(&points, &name, Some("cpu-total")).unwrap();
        assert!((told - expected).abs() < 1e-9, "{name} {told}");
    }
}

#[test]
fn each_processor_is_told_by_its_number() {
    let (mut before, mut after) = (at(0), at(60));
    let cores = |a, b, c| Cpu {
        total: ticks(0, 0, 0),
        cores: vec![(0, a), (2, b), (3, c)],
    };
    before.cpu = Some(cores(ticks(10, 0, 0), ticks(500, 0, 500), ticks(9, 9, 9)));
    after.cpu = Some(cores(ticks(20, 0, 0), ticks(500, 0, 510), ticks(1, 1, 1)));
    after.cpu.as_mut().unwrap().cores.push((4, ticks(1, 1, 1)));
    let points = tell(&before, &after);
    let active = |core| value(&points, "cpu_usage_active", Some(core));
    assert_eq!((active("cpu0"), active("cpu2")), (Some(100.0), Some(0.0)));
    // It was taken offline and came back: its counters began anew. The other is new. All together did not move.
    assert_eq!(
        (active("cpu3"), active("cpu4"), active("cpu-total")),
        (None, None, None)
    );
}

#[test]
fn time_that_goes_back_counts_as_nothing() {
    let (mut before, mut after) = (at(0), at(60));
    before.cpu = cpu(Ticks {
        iowait: 100,
        ..ticks(0, 0, 0)
    });
    after.cpu = cpu(Ticks {
        iowait: 98,
        ..ticks(30, 0, 70)
    });
    let points = tell(&before, &after);
    let told = |name| value(&points, name, None).unwrap();
    assert_eq!(told("cpu_usage_iowait"), 0.0);
    assert!((told("cpu_usage_user") - 30.0).abs() < 1e-9);
    assert!((told("cpu_usage_idle") - 70.0).abs() < 1e-9);
}

#[test]
fn time_that_goes_back_is_no_new_beginning_while_the_rest_goes_on() {
    let (mut before, mut after) = (at(0), at(60));
    before.cpu = cpu(ticks(0, 0, 100));
    after.cpu = cpu(Ticks {
        steal: 10,
        ..ticks(0, 0, 98)
    });
    let points = tell(&before, &after);
    assert_eq!(value(&points, "cpu_usage_steal", None), Some(100.0));
}

#[test]
fn a_processor_that_began_anew_tells_nothing_though_it_idled_longer() {
    let (mut before, mut after) = (at(0), at(60));
    before.cpu = cpu(ticks(5_000, 3_000, 10));
    after.cpu = cpu(ticks(7, 3, 50));
    assert!(!tells(&tell(&before, &after), "cpu_"));
}

#[test]
fn counters_become_what_they_grew_by() {
    let (mut before, mut after) = (at(0), at(60));
    before.disks = Some(vec![disk("nvme0n1", 1_000)]);
    after.disks = Some(vec![disk("nvme0n1", 1_010)]);
    before.interfaces = Some(vec![interface("ens5", 5)]);
    after.interfaces = Some(vec![interface("ens5", 8)]);
    let points = tell(&before, &after);
    for name in [
        "reads",
        "writes",
        "read_time",
        "write_time",
        "io_time",
        "weighted_io_time",
    ] {
        assert_eq!(
            value(&points, &format!("diskio_{name}"), Some("nvme0n1")),
            Some(10.0),
            "{name}"
        );
    }
    for name in ["read_bytes", "write_bytes"] {
        assert_eq!(
            value(&points, &format!("diskio_{name}"), None),
            Some(5120.0),
            "{name}"
        );
    }
    assert_eq!(value(&points, "diskio_iops_in_progress", None), Some(3.0));
    for name in [
        "bytes_sent",
        "bytes_recv",
        "packets_sent",
        "packets_recv",
        "err_in",
        "err_out",
        "drop_in",
        "drop_out",
    ] {
        assert_eq!(
            value(&points, &format!("net_{name}"), Some("ens5")),
            Some(3.0),
            "{name}"
        );
    }
}

#[test]
fn the_first_sample_tells_no_changes() {
    let mut first = at(0);
    first.cpu = cpu(ticks(1, 1, 1));
    first.disks = Some(vec![disk("sda", 1)]);
    first.interfaces = Some(vec![interface("ens5", 1)]);
    first.own = Some(Own::default());
    first.memory = Some(Memory {
        total_bytes: 4,
        free_bytes: 1,
        ..Memory::default()
    });
    let points = derive(None, &first, &all());
    assert!(!tells(&points, "cpu_") && !tells(&points, "net_") && !tells(&points, "diskio_reads"));
    assert!(tells(&points, "diskio_iops_in_progress") && tells(&points, "baker_agent_rss"));
    assert!(!tells(&points, "baker_agent_cpu"));
    assert_eq!(value(&points, "mem_used_percent", None), Some(75.0));
}

#[test]
fn an_empty_interval_tells_no_changes() {
    for (first, second) in [(60, 60), (60, 30)] {
        let (mut before, mut after) = (at(first), at(second));
        before.interfaces = Some(vec![interface("ens5", 1)]);
        after.interfaces = Some(vec![interface("ens5", 2)]);
        before.cpu = cpu(ticks(1, 1, 1));
        after.cpu = cpu(ticks(2, 2, 2));
        before.own = Some(Own::default());
        after.own = Some(Own {
            cpu_ms: 5,
            resident_bytes: 7,
        });
        after.swap = Some(Swap::default());
        let points = tell(&before, &after);
        assert!(
            !tells(&points, "net_")
                && !tells(&points, "cpu_")
                && !tells(&points, "baker_agent_cpu")
        );
        assert!(tells(&points, "swap_") && tells(&points, "baker_agent_rss"));
    }
}

#[test]
fn a_family_that_could_not_be_read_is_not_told_and_comes_back() {
    let (mut first, second, mut third, mut fourth) = (at(0), at(60), at(120), at(180));
    first.interfaces = Some(vec![interface("ens5", 1)]);
    third.interfaces = Some(vec![interface("ens5", 9)]);
    fourth.interfaces = Some(vec![interface("ens5", 10)]);
    assert!(!tells(&tell(&first, &second), "net_"));
    assert!(!tells(&tell(&second, &third), "net_"));
    assert_eq!(
        value(&tell(&third, &fourth), "net_bytes_sent", None),
        Some(1.0)
    );
}

#[test]
fn a_device_that_came_or_went_is_told_of_when_there_are_two_looks_at_it() {
    let (mut before, mut after) = (at(0), at(60));
    before.disks = Some(vec![disk("nvme0n1", 10), disk("nvme1n1", 99)]);
    after.disks = Some(vec![disk("nvme0n1", 11), disk("nvme2n1", 500)]);
    before.interfaces = Some(vec![interface("eth0", 1)]);
    after.interfaces = Some(vec![interface("eth1", 1)]);
    let points = tell(&before, &after);
    assert_eq!(value(&points, "diskio_reads", None), Some(1.0));
    assert!(!tells(&points, "net_"));
    // Another order is the same host.
    before.disks.as_mut().unwrap().reverse();
    assert_eq!(tell(&before, &after), points);
}

#[test]
fn a_device_that_was_attached_again_tells_nothing_of_that_interval() {
    let (mut before, mut after) = (at(0), at(60));
    before.disks = Some(vec![disk("nvme1n1", 5_000_000)]);
    // All of its counters began anew, even those that stand higher by now.
    after.disks = Some(vec![Disk {
        read_ms: 5_000_001,
        ..disk("nvme1n1", 40)
    }]);
    before.interfaces = Some(vec![interface("ens5", 1 << 40)]);
    after.interfaces = Some(vec![interface("ens5", 7)]);
    let points = tell(&before, &after);
    assert!(!tells(&points, "diskio_read") && !tells(&points, "net_"));
    assert!(tells(&points, "diskio_iops_in_progress"));
}

#[test]
fn a_single_counter_that_was_set_back_tells_nothing_and_the_others_go_on() {
    let (mut before, mut after) = (at(0), at(60));
    before.interfaces = Some(vec![interface("ens5", 50)]);
    after.interfaces = Some(vec![Interface {
        received_drops: 3,
        ..interface("ens5", 60)
    }]);
    let points = tell(&before, &after);
    assert_eq!(value(&points, "net_drop_in", None), None);
    assert_eq!(value(&points, "net_bytes_recv", None), Some(10.0));
    assert_eq!(value(&points, "net_drop_out", None), Some(10.0));
}

#[test]
fn counters_that_wrap_go_on() {
    let (mut before, mut after) = (at(0), at(60));
    // The time of a disk with fifty days of I/O, and a driver that counts in 32 bits.
    let end = u64::from(u32::MAX);
    before.disks = Some(vec![Disk {
        io_ms: end - 9,
        ..disk("sda", 1 << 40)
    }]);
    after.disks = Some(vec![Disk {
        io_ms: 20,
        ..disk("sda", (1 << 40) + 1)
    }]);
    before.interfaces = Some(vec![Interface {
        sent_bytes: end,
        ..interface("ens5", u64::MAX)
    }]);
    after.interfaces = Some(vec![Interface {
        sent_bytes: 99,
        ..interface("ens5", 4)
    }]);
    let points = tell(&before, &after);
    assert_eq!(value(&points, "diskio_io_time", None), Some(30.0));
    assert_eq!(value(&points, "diskio_reads", None), Some(1.0));
    assert_eq!(value(&points, "net_bytes_sent", None), Some(100.0));
    assert_eq!(value(&points, "net_packets_recv", None), Some(5.0));
}

/// Two samples with everything in them.
fn busy() -> (Sample, Sample) {
    let (mut before, mut after) = (at(0), at(60));
    for (sample, all) in [(&mut before, 1_000), (&mut after, 2_000)] {
        sample.cpu = Some(Cpu {
            total: ticks(all, all, all),
            cores: vec![(0, ticks(all, 0, all)), (1, ticks(0, all, all))],
        });
        sample.memory = Some(Memory {
            total_bytes: 8 << 30,
            free_bytes: 1 << 30,
            available_bytes: Some(6 << 30),
            buffers_bytes: 1 << 28,
            cached_bytes: 4 << 30,
            reclaimable_bytes: 1 << 28,
            active_bytes: 3 << 30,
            inactive_bytes: 2 << 30,
        });
        sample.swap = Some(Swap {
            total_bytes: 1 << 30,
            free_bytes: 1 << 29,
        });
        sample.load = Some(Load {
            one: 0.5,
            five: 0.25,
            fifteen: 0.125,
        });
        sample.mounts = Some(vec![Mount {
            path: "/".into(),
            device: "nvme0n1p1".into(),
            fstype: "ext4".into(),
            total_bytes: 100,
            free_bytes: 40,
            available_bytes: 20,
            inodes: 50,
            inodes_free: 30,
        }]);
        sample.disks = Some(vec![disk("nvme0n1", all)]);
        sample.interfaces = Some(vec![interface("ens5", all)]);
        sample.sockets = Some(Sockets {
            tcp: TcpStates {
                listen: 4,
                ..TcpStates::default()
            },
            udp: 2,
        });
        sample.processes = Some(Processes {
            total: 90,
            threads: 200,
            sleeping: 60,
            idle: 30,
            ..Processes::default()
        });
        sample.own = Some(Own {
            resident_bytes: 9 << 20,
            cpu_ms: all,
        });
    }
    (before, after)
}

#[test]
fn gauges_are_what_free_and_df_say() {
    let (before, after) = busy();
    let points = tell(&before, &after);
    for (name, expected) in [
        // free(1): total less free, buffers and cache, with slab memory that can be given back.
        ("mem_used", f64::from(1_u32 << 30) * 2.5),
        ("mem_used_percent", 31.25),
        ("mem_cached", f64::from(1_u32 << 30) * 4.25),
        ("mem_available_percent", 75.0),
        ("swap_used", f64::from(1 << 29)),
        ("swap_used_percent", 50.0),
        // df(1): of 80 blocks that anybody may use, 60 are used.
        ("disk_total", 100.0),
        ("disk_used", 60.0),
        ("disk_free", 20.0),
        ("disk_used_percent", 75.0),
        ("disk_inodes_used", 20.0),
        ("netstat_tcp_listen", 4.0),
        ("netstat_udp_socket", 2.0),
        ("processes_total_threads", 200.0),
        ("system_load1", 0.5),
        // A second of a processor in a minute.
        ("baker_agent_cpu", 100.0 / 60.0),
    ] {
        assert_eq!(value(&points, name, None), Some(expected), "{name}");
    }
}

#[test]
fn what_a_host_does_not_have_is_not_told() {
    let mut sample = at(0);
    sample.memory = Some(Memory {
        total_bytes: 1,
        ..Memory::default()
    });
    sample.swap = Some(Swap::default());
    let points = derive(None, &sample, &all());
    assert!(!tells(&points, "mem_available"), "no MemAvailable");
    assert_eq!(
        value(&points, "swap_used_percent", None),
        Some(0.0),
        "no swap space is none used"
    );
    sample.memory = Some(Memory::default());
    let points = derive(None, &sample, &all());
    assert!(
        !tells(&points, "mem_used_percent"),
        "no memory is no percentage"
    );
}

#[test]
fn the_hosts_clock_changes_nothing() {
    let (before, after) = busy();
    let expected = tell(&before, &after);
    for unix_ms in [0, i64::MIN, i64::MAX, before.at.unix_ms - 3_600_000] {
        let mut jumped = after.clone();
        jumped.at.unix_ms = unix_ms;
        assert_eq!(tell(&before, &jumped), expected);
    }
}

#[test]
fn time_asleep_is_no_time() {
    // Counters, and the monotonic clock, stand still while a host is suspended or hibernates: only its clock goes on.
    let (before, after) = busy();
    let mut woken = after.clone();
    woken.at.unix_ms += 8 * 3_600_000;
    assert_eq!(tell(&before, &woken), tell(&before, &after));
}

#[test]
fn a_long_interval_is_told_as_a_whole() {
    // The agent was stopped for an hour, not the host: sums stay right, and shares are of the whole hour.
    let (before, mut after) = busy();
    after.at.monotonic += Duration::from_secs(3_600);
    let points = tell(&before, &after);
    assert_eq!(value(&points, "net_bytes_sent", None), Some(1_000.0));
    assert_eq!(
        value(&points, "baker_agent_cpu", None),
        Some(100.0 / 3_660.0)
    );
}

#[test]
fn every_metric_there_is_can_be_told_and_nothing_else() {
    let (before, after) = busy();
    let points = tell(&before, &after);
    for metric in metrics() {
        let told = points.iter().find(|point| point.name == metric.name);
        let told = told.unwrap_or_else(|| panic!("{} is never told", metric.name));
        assert_eq!(told.unit, metric.unit);
        let labels: Vec<_> = told.labels.iter().map(|(name, _)| name).collect();
        assert_eq!(labels, metric.labels, "{}", metric.name);
    }
    assert!(
        points
            .iter()
            .all(|point| metrics().any(|metric| metric.name == point.name))
    );
}

#[test]
fn what_is_not_wanted_is_not_told() {
    let (before, after) = busy();
    let rules = Rules {
        wanted: Wanted::of(["load", "disk_used_percent"]).unwrap(),
    };
    let mut names: Vec<_> = derive(Some(&before), &after, &rules)
        .into_iter()
        .map(|point| point.name)
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "disk_used_percent",
            "system_load1",
            "system_load15",
            "system_load5"
        ]
    );
    assert_eq!(derive(Some(&before), &after, &Rules::default()), []);
}

/// Any counter, those near the ends of their ranges as likely as the rest.
fn counter() -> BoxedStrategy<u64> {
    prop_oneof![
        0..100_000_u64,
        (0..100_000_u64).prop_map(|below| u64::from(u32::MAX) - below),
        (0..100_000_u64).prop_map(|below| u64::MAX - below),
        any::<u64>(),
    ]
    .boxed()
}

prop_compose! {
    fn any_ticks()(a in prop::collection::vec(counter(), 10)) -> Ticks {
        let [user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice] = a.try_into().unwrap();
        Ticks { user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice }
    }
}

prop_compose! {
    /// Any host, however absurd.
    fn any_sample()(
        seconds in 0..200_u64,
        total in any_ticks(),
        core in any_ticks(),
        c in prop::collection::vec(counter(), 24),
        d in prop::collection::vec(counter(), 24),
        loads in prop::array::uniform3(any::<f64>()),
        available in prop::option::of(counter()),
    ) -> Sample {
        let mut sample = at(seconds);
        sample.cpu = Some(Cpu { total, cores: vec![(0, core)] });
        sample.memory = Some(Memory {
            total_bytes: c[0], free_bytes: c[1], available_bytes: available, buffers_bytes: c[2],
            cached_bytes: c[3], reclaimable_bytes: c[4], active_bytes: c[5], inactive_bytes: c[6],
        });
        sample.swap = Some(Swap { total_bytes: c[7], free_bytes: c[8] });
        sample.load = Some(Load { one: loads[0], five: loads[1], fifteen: loads[2] });
        sample.mounts = Some(vec![Mount {
            path: "/".into(), device: "sda1".into(), fstype: "ext4".into(),
            total_bytes: c[9], free_bytes: c[10], available_bytes: c[11], inodes: c[12], inodes_free: c[13],
        }]);
        sample.disks = Some(vec![Disk {
            name: "sda".into(), reads: d[0], read_sectors: d[1], read_ms: d[2], writes: d[3],
            written_sectors: d[4], write_ms: d[5], in_progress: d[6], io_ms: d[7], weighted_io_ms: d[8],
        }]);
        sample.interfaces = Some(vec![Interface {
            name: "ens5".into(), received_bytes: d[9], received_packets: d[10], received_errors: d[11],
            received_drops: d[12], sent_bytes: d[13], sent_packets: d[14], sent_errors: d[15], sent_drops: d[16],
        }]);
        sample.own = Some(Own { resident_bytes: c[14], cpu_ms: c[15] });
        sample
    }
}

proptest! {
    #[test]
    fn whatever_a_host_shows_values_are_finite_and_percentages_are_some(
        before in any_sample(),
        after in any_sample(),
    ) {
        for point in tell(&before, &after) {
            prop_assert!(point.value.is_finite(), "{point:?}");
            if point.unit == Unit::Percent {
                prop_assert!(point.value >= 0.0, "{point:?}");
                prop_assert!(point.value <= 100.0 || point.name == "baker_agent_cpu", "{point:?}");
            } else if !point.name.starts_with("system_load") {
                prop_assert!(point.value >= 0.0, "{point:?}");
            }
        }
    }

    #[test]
    fn a_processors_shares_add_up_to_all_of_it(before in any_ticks(), after in any_ticks()) {
        let (mut first, mut second) = (at(0), at(60));
        first.cpu = cpu(before);
        second.cpu = cpu(after);
        let points = tell(&first, &second);
        if !points.is_empty() {
            let value = |name: &str| value(&points, &format!("cpu_usage_{name}"), None).unwrap();
            let parts = ["user", "nice", "system", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
            let active: f64 = parts.into_iter().map(value).sum();
            prop_assert!((active + value("idle") - 100.0).abs() < 1e-6);
            prop_assert!((active - value("active")).abs() < 1e-6);
        }
    }

    #[test]
    fn sums_over_intervals_are_the_sum_over_all(steps in prop::collection::vec(0..1_000_000_u64, 1..20), start in counter()) {
        let mut counter = start;
        let mut before = at(0);
        before.interfaces = Some(vec![interface("ens5", counter)]);
        let mut told = 0.0;
        for (number, step) in steps.iter().enumerate() {
            counter = counter.wrapping_add(*step);
            let mut after = at(number as u64 + 1);
            after.interfaces = Some(vec![interface("ens5", counter)]);
            told += value(&tell(&before, &after), "net_bytes_recv", None).unwrap();
            before = after;
        }
        prop_assert_eq!(told, steps.iter().sum::<u64>() as f64);
    }
}
