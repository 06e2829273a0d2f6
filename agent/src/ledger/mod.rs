//! The account of every byte, kept through crashes.
//!
//! Everything that changes the account is a [`Record`]. [`State`] is the pure fold of records; [`Store`] keeps them on
//! disk, so that the same fold gives the same account after a restart, a SIGKILL or a power cut. The two do not know
//! each other: whoever works with both applies a record to the state first and, when it is no contradiction, appends it
//! to the store.
//!
//! A record outlives a SIGKILL once [`Store::flush`] has returned, and a power cut once [`Store::commit`] has. An
//! [`Intent`] has to be committed before its batch leaves; nothing else needs a commit of its own, because what a lost
//! record would have said can be found out again (a batch whose landing is forgotten is read back).

mod codec;
mod disk;
mod fates;
mod history;
mod intervals;
mod medium;
pub mod memory;
mod peek;
mod record;
mod recover;
mod segment;
mod state;
mod store;
#[cfg(test)]
mod testing;

pub use disk::LockError;
pub use fates::Totals;
pub use medium::{Medium, Slot};
pub use peek::{Peeked, is_there, peek};
pub use record::{Carried, Intent, Landing, Record};
pub use state::{Contradiction, Gap, Generation, Known, Refusals, SetTotals, State};
pub use store::{How, OpenError, Opened, Store};
