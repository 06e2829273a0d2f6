//! The agent's pure stages, to be fuzzed by themselves: the agent as a whole would bring the AWS SDK along, which is
//! of no use here and takes minutes to build.

#[path = "../../src/account.rs"]
pub mod account;
#[path = "../../src/frame/mod.rs"]
pub mod frame;
#[path = "../../src/stamp/mod.rs"]
pub mod stamp;
