//! What the agent costs and keeps, on the real binary: the rows of docs/benchmarks.md.
//!
//! Each row starts the agent against an endpoint with the service's limits in a process of its own, and prints what it
//! measured with the target beside it. The yardstick of processor time is `openssl dgst -sha256` over the same bytes in the
//! same run: the request has to be hashed to be signed, so nobody gets below 1. Ends with `ratio` lines.
//!
//!     cargo bench -p baker-agent --bench agent                       all rows
//!     cargo bench -p baker-agent --bench agent -- catchup idle       these rows
//!     cargo bench -p baker-agent --bench agent -- --quick            shorter rows, once each, to see that they work
//!     cargo bench -p baker-agent --bench agent -- --than PATH        catch-ups beside another build of the agent, in turns
//!     cargo bench -p baker-agent --bench agent -- --with awslogs     the same of AWS's older agent, after ours

#[path = "support/mod.rs"]
mod bench;
#[path = "../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;

use bench::args::Args;
use bench::awslogs::Awslogs;
use bench::rows::{self, Bench};
use bench::table::Table;
use support::agent::{BakerAgent, Program};
use support::endpoint;

fn main() -> ExitCode {
    // This program again, as the endpoint.
    if endpoint::serve_if_asked() {
        return ExitCode::SUCCESS;
    }
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut programs: Vec<Box<dyn Program>> = Vec::new();
    if !args.only_others {
        let ours = args
            .agent
            .clone()
            .map_or_else(BakerAgent::built, |program| BakerAgent { program });
        programs.push(Box::new(ours));
    }
    if args.with_awslogs {
        match Awslogs::prepare() {
            Ok(theirs) => programs.push(Box::new(theirs)),
            Err(error) => {
                eprintln!("awslogs is left out: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let mut table = Table::default();
    for program in &programs {
        let bench = Bench::new(program.as_ref(), &args);
        for row in rows::ALL {
            if args.wants(row.name) && bench.is_able(row) {
                (row.run)(&bench, &mut table);
            }
        }
    }
    table.end();
    ExitCode::SUCCESS
}
