//! The instance metadata service, version 2: each host sees its own, told apart by the address it calls from.

mod notice;
mod server;
mod tokens;
mod tree;

pub(crate) use notice::Notices;
pub use notice::{Notice, NoticeAction};
pub(crate) use server::{Metadata, PORT};
