//! Which frozen disks a snapshot, an image or a host stands on, and which of them nothing stands on any more.
//!
//! A *layer* is the frozen upper folder of some host's overlay. A *stack* is the list of layers below a disk, lowest first; the base disk
//! lies under every stack and is not part of it. Freezing a host appends one layer to its stack; launching from a snapshot copies the
//! snapshot's stack. A layer is kept for as long as any stack names it.

use std::collections::{BTreeMap, BTreeSet};

/// Names one layer: the id of the snapshot whose creation froze it.
pub(crate) type LayerId = String;

/// The layers below a disk, lowest first.
pub(crate) type Stack = Vec<LayerId>;

/// Which stack each snapshot and each host has.
#[derive(Debug, Default, Clone)]
pub(crate) struct Layers {
    snapshots: BTreeMap<String, Stack>,
    hosts: BTreeMap<String, Stack>,
}

impl Layers {
    /// A host's disk is created from `snapshot`; returns its stack. A snapshot that was never frozen here is one of the catalog's: the bare base.
    pub(crate) fn launch(&mut self, host: &str, snapshot: &str) -> Stack {
        let stack = self.snapshots.get(snapshot).cloned().unwrap_or_default();
        self.hosts.insert(host.to_owned(), stack.clone());
        stack
    }

    /// The stack that a host's disk stands on.
    pub(crate) fn host(&self, host: &str) -> Option<&Stack> {
        self.hosts.get(host)
    }

    /// Whether `snapshot` was frozen in this lab.
    pub(crate) fn knows(&self, snapshot: &str) -> bool {
        self.snapshots.contains_key(snapshot)
    }

    /// `host`'s writes so far become the layer of `snapshot`. With `moved`, the host goes on above that layer (its upper folder became the layer);
    /// otherwise the layer is a copy and the host keeps its own writes.
    pub(crate) fn freeze(&mut self, host: &str, snapshot: &str, moved: bool) {
        let mut stack = self.hosts.get(host).cloned().unwrap_or_default();
        stack.push(snapshot.to_owned());
        if moved {
            self.hosts.insert(host.to_owned(), stack.clone());
        }
        self.snapshots.insert(snapshot.to_owned(), stack);
    }

    /// `copy` stands on what `source` stands on.
    pub(crate) fn copy(&mut self, copy: &str, source: &str) {
        let stack = self.snapshots.get(source).cloned().unwrap_or_default();
        self.snapshots.insert(copy.to_owned(), stack);
    }

    /// The host's disk is gone.
    pub(crate) fn forget_host(&mut self, host: &str) {
        self.hosts.remove(host);
    }

    /// Forgets the snapshots that are not in `existing`, then returns every layer on `disk` that no stack names any more.
    pub(crate) fn garbage(
        &mut self,
        existing: &BTreeSet<String>,
        disk: &BTreeSet<LayerId>,
    ) -> Vec<LayerId> {
        self.snapshots
            .retain(|snapshot, _| existing.contains(snapshot));
        let used: BTreeSet<&LayerId> = self
            .snapshots
            .values()
            .chain(self.hosts.values())
            .flatten()
            .collect();
        disk.iter()
            .filter(|layer| !used.contains(layer))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn an_image_stands_on_all_layers_of_its_source() {
        let mut layers = Layers::default();
        assert!(layers.launch("i-1", "snap-catalog").is_empty());
        layers.freeze("i-1", "snap-1", true);
        assert_eq!(layers.launch("i-2", "snap-1"), ["snap-1"]);
        layers.freeze("i-2", "snap-2", true);
        assert_eq!(layers.launch("i-3", "snap-2"), ["snap-1", "snap-2"]);
    }

    #[test]
    fn a_copied_layer_does_not_move_the_host() {
        let mut layers = Layers::default();
        layers.launch("i-1", "snap-catalog");
        layers.freeze("i-1", "snap-1", false);
        assert!(layers.host("i-1").is_some_and(Vec::is_empty));
        assert_eq!(layers.launch("i-2", "snap-1"), ["snap-1"]);
    }

    #[test]
    fn a_copy_outlives_its_source() {
        let mut layers = Layers::default();
        layers.launch("i-1", "snap-catalog");
        layers.freeze("i-1", "snap-1", true);
        layers.copy("snap-copy", "snap-1");
        layers.forget_host("i-1");
        let disk = set(&["snap-1"]);
        assert!(layers.garbage(&set(&["snap-copy"]), &disk).is_empty());
        assert_eq!(layers.launch("i-2", "snap-copy"), ["snap-1"]);
    }

    #[test]
    fn deleting_a_snapshot_frees_its_layer_only_when_nothing_stands_on_it() {
        let mut layers = Layers::default();
        layers.launch("i-1", "snap-catalog");
        layers.freeze("i-1", "snap-1", true);
        layers.forget_host("i-1");
        layers.launch("i-2", "snap-1");
        layers.freeze("i-2", "snap-2", true);
        let disk = set(&["snap-1", "snap-2"]);
        assert!(
            layers.garbage(&set(&["snap-2"]), &disk).is_empty(),
            "snap-2 and i-2 still stand on snap-1"
        );
        assert!(
            layers.garbage(&set(&[]), &disk).is_empty(),
            "the host still stands on both"
        );
        layers.forget_host("i-2");
        assert_eq!(layers.garbage(&set(&[]), &disk), ["snap-1", "snap-2"]);
    }
}
