//! Metrics out of samples. Pure: what two samples tell, whatever the host's clock says meanwhile.
//!
//! What the kernel counts up becomes what it grew by since the sample before, as the CloudWatch agent sends it: a sum over periods is right
//! then, whatever the interval. Time on a processor is divided by the ticks of the same processors, not by a clock. Nothing is told of an interval without
//! two samples that belong together: the first one, a device that came or went, counters that began anew (`growth.rs`).

mod change;
mod growth;
mod point;
mod rows;
mod wanted;

use std::sync::Arc;

use crate::sample::Sample;

pub use point::{Labels, Point, Unit, dimension_value};
pub use rows::{Metric, metrics};
pub use wanted::{Unknown, Wanted};

use change::{DiskChange, InterfaceChange, OwnChange, Shares};
use rows::Row;

/// What is derived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Which metrics.
    pub wanted: Wanted,
}

/// The metrics of `after`, at the time of `after`; `before` is the sample before it.
///
/// Every value is finite; percentages are between 0 and 100, but for the agent's own share, which is of one processor.
#[must_use]
pub fn derive(before: Option<&Sample>, after: &Sample, rules: &Rules) -> Vec<Point> {
    let mut points = Points {
        wanted: &rules.wanted,
        points: Vec::new(),
    };
    let none = Labels::default();
    // Two samples of one instant have no interval between them.
    let before = before.filter(|before| before.at.monotonic < after.at.monotonic);
    if let Some(before) = before {
        points.changes(before, after);
    }
    points.add(rows::MEMORY, after.memory.as_ref(), &none);
    points.add(rows::SWAP, after.swap.as_ref(), &none);
    points.add(rows::LOAD, after.load.as_ref(), &none);
    for mount in after.mounts.iter().flatten() {
        let labels = [
            ("path", &mount.path),
            ("device", &mount.device),
            ("fstype", &mount.fstype),
        ];
        points.add(rows::MOUNT, Some(mount), &Labels::new(labels));
    }
    for disk in after.disks.iter().flatten() {
        points.add(rows::DISK, Some(disk), &Labels::new([("name", &disk.name)]));
    }
    points.add(rows::SOCKETS, after.sockets.as_ref(), &none);
    points.add(rows::PROCESSES, after.processes.as_ref(), &none);
    points.add(rows::OWN, after.own.as_ref(), &none);
    points.points
}

struct Points<'a> {
    wanted: &'a Wanted,
    points: Vec<Point>,
}

impl Points<'_> {
    fn changes(&mut self, before: &Sample, after: &Sample) {
        if let (Some(before), Some(after)) = (&before.cpu, &after.cpu) {
            let total = Shares::between(&before.total, &after.total);
            self.add(rows::SHARES, total.as_ref(), &cpu("cpu-total".into()));
            for (number, ticks) in &after.cores {
                let earlier = before.cores.iter().find(|(other, _)| other == number);
                let shares = earlier.and_then(|(_, earlier)| Shares::between(earlier, ticks));
                self.add(
                    rows::SHARES,
                    shares.as_ref(),
                    &cpu(format!("cpu{number}").into()),
                );
            }
        }
        if let (Some(before), Some(after)) = (&before.disks, &after.disks) {
            for disk in after {
                let earlier = before.iter().find(|other| other.name == disk.name);
                let change = earlier.and_then(|earlier| DiskChange::between(earlier, disk));
                let labels = Labels::new([("name", &disk.name)]);
                self.add(rows::DISK_CHANGE, change.as_ref(), &labels);
            }
        }
        if let (Some(before), Some(after)) = (&before.interfaces, &after.interfaces) {
            for interface in after {
                let earlier = before.iter().find(|other| other.name == interface.name);
                let change =
                    earlier.and_then(|earlier| InterfaceChange::between(earlier, interface));
                let labels = Labels::new([("interface", &interface.name)]);
                self.add(rows::INTERFACE_CHANGE, change.as_ref(), &labels);
            }
        }
        if let (Some(earlier), Some(own)) = (&before.own, &after.own) {
            let interval = after.at.monotonic.saturating_sub(before.at.monotonic);
            let change = OwnChange::between(earlier, own, interval);
            self.add(rows::OWN_CHANGE, change.as_ref(), &Labels::default());
        }
    }

    fn add<T>(&mut self, rows: &[Row<T>], thing: Option<&T>, labels: &Labels) {
        let Some(thing) = thing else {
            return;
        };
        for row in rows {
            if !self.wanted.has(row.name) {
                continue;
            }
            if let Some(value) = (row.value)(thing).filter(|value| value.is_finite()) {
                self.points.push(Point {
                    name: row.name,
                    unit: row.unit,
                    labels: labels.clone(),
                    value,
                });
            }
        }
    }
}

fn cpu(name: Arc<str>) -> Labels {
    Labels::new([("cpu", &name)])
}

#[cfg(test)]
mod tests;
