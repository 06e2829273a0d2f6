//! A host, read once: counters and gauges as the kernel keeps them, and nothing worked out of them (`derive` does that).
//!
//! A file that can't be read, or a line of it that makes no sense, is a [`Trouble`] beside the sample: what it would have told is not in
//! the sample, everything else is.

mod choice;
mod cpu;
mod data;
mod disks;
mod interfaces;
mod load;
mod memory;
mod mounts;
mod own;
mod processes;
mod read;
mod sockets;
mod trouble;

use std::path::PathBuf;

use crate::clock::Now;

pub use choice::{Choice, Collect, Families, Family};
pub use data::{
    Cpu, Disk, Interface, Load, Memory, Mount, Own, Processes, Sample, Sockets, Swap, TcpStates,
    Ticks,
};
pub use trouble::Trouble;

use mounts::Remote;
use own::OwnReader;
use read::Files;

/// Where a host is looked at: its `/proc` and `/sys`, and what its mount points stand on.
#[derive(Debug, Clone)]
pub struct Root {
    folder: PathBuf,
    host: bool,
}

impl Root {
    /// This host.
    #[must_use]
    pub fn host() -> Self {
        Self {
            folder: PathBuf::from("/"),
            host: true,
        }
    }

    /// A folder with `proc`, `sys` and mount points as below `/`, for tests. The kernel is asked for nothing but files.
    #[must_use]
    pub fn fixture(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            host: false,
        }
    }
}

/// Reads a host, as often as it is asked.
#[derive(Debug)]
pub struct Sampler {
    collect: Collect,
    files: Files,
    /// Mounts that may not answer, asked by threads of their own.
    remote: Remote,
    own: OwnReader,
    /// Whether the kernel may be asked through netlink.
    netlink: bool,
}

impl Sampler {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(collect: Collect, root: Root) -> Self {
        Self {
            collect,
            netlink: root.host,
            files: Files::new(root.folder),
            remote: Remote::default(),
            own: OwnReader::default(),
        }
    }

    /// What the host shows at `now`, and what could not be read of it.
    ///
    /// Waits for nothing but files of the kernel, and a named network mount for 50 ms, once.
    pub fn sample(&mut self, now: Now) -> (Sample, Vec<Trouble>) {
        let mut troubles = Vec::new();
        let (collect, files) = (&self.collect, &mut self.files);
        let has = |family| collect.families.has(family);
        let mut sample = Sample::empty(now);
        if has(Family::Cpu) {
            sample.cpu = cpu::read(files, collect.per_core, &mut troubles);
        }
        if has(Family::Mem) || has(Family::Swap) {
            let (memory, swap) = memory::read(files, &mut troubles).unzip();
            sample.memory = memory.filter(|_| has(Family::Mem));
            sample.swap = swap.filter(|_| has(Family::Swap));
        }
        if has(Family::Load) {
            sample.load = load::read(files, &mut troubles);
        }
        if has(Family::Disk) {
            sample.mounts = mounts::read(files, &collect.mounts, &mut self.remote, &mut troubles);
        }
        if has(Family::DiskIo) {
            sample.disks = disks::read(files, &collect.devices, &mut troubles);
        }
        if has(Family::Net) {
            sample.interfaces = interfaces::read(files, &collect.interfaces, &mut troubles);
        }
        if has(Family::Netstat) {
            sample.sockets = sockets::read(files, self.netlink, &mut troubles);
        }
        if has(Family::Processes) {
            sample.processes = processes::read(files, &mut troubles);
        }
        if has(Family::Agent) {
            sample.own = self.own.read(&mut troubles);
        }
        (sample, troubles)
    }
}

#[cfg(test)]
mod tests;
