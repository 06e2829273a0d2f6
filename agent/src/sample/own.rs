//! This process itself, through sysinfo.

use std::path::PathBuf;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::Trouble;
use super::data::Own;

/// Looks at this process, and at no other.
#[derive(Debug, Default)]
pub(super) struct OwnReader {
    system: Option<System>,
}

impl OwnReader {
    pub(super) fn read(&mut self, troubles: &mut Vec<Trouble>) -> Option<Own> {
        let own = self.look();
        if own.is_none() {
            troubles.push(Trouble::Own {
                path: PathBuf::from("/proc/self"),
            });
        }
        own
    }

    fn look(&mut self) -> Option<Own> {
        let pid = Pid::from_u32(std::process::id());
        if self.system.is_none() {
            self.system = System::new().ok();
        }
        let system = self.system.as_mut()?;
        let what = ProcessRefreshKind::nothing()
            .with_cpu()
            .with_memory()
            .without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
        let process = system.process(pid)?;
        Some(Own {
            resident_bytes: process.memory(),
            cpu_ms: process.accumulated_cpu_time(),
        })
    }
}
