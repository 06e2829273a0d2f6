#!/usr/bin/env python3
"""Breaks the agent on purpose, one place at a time, and sees whether its tests notice.

    scripts/mutants.py               all of them
    scripts/mutants.py ledger copy   those whose name holds one of these words
    scripts/mutants.py --check       only whether each place still reads as it did

Each break is made in a copy of the repository below the target folder, and named tests are run there. A break that they do not notice is a
survivor; the exit code is then 1, and so it is where a place does not hold what is to be broken any more. The model test plays MODEL_CASES
histories (200 by default) from MODEL_SEED (1 by default). Takes a build of the agent for each break.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


def model(test):
    return ("--test", "model", "--", "--exact", test)


def unit(filter):
    return ("--lib", "--", filter)


EVERY_LINE = model("every_line_arrives_once")


@dataclass(frozen=True)
class Mutant:
    # What is wrong then, after the stage that it is in.
    name: str
    file: str
    # What stands there, exactly once.
    before: str
    # What is put in its place.
    after: str
    # Arguments of `cargo test -p baker-agent`, each a run that has a chance of noticing. The quickest first.
    tests: tuple = (EVERY_LINE,)


MUTANTS = [
    # tail
    Mutant("tail: a renamed file is dropped before it is read to its end",
           "agent/src/tail/detached.rs",
           "        generation.state = State::Detached { deleted: false };\n        let index = generation.slot;",
           "        generation.state = State::Detached { deleted: false };\n        generation.size = generation.consumed;\n"
           "        generation.source = Source::Gone;\n        let index = generation.slot;"),
    Mutant("tail: after a truncation the copy is not looked for",
           "agent/src/tail/truncation.rs",
           "        self.go_on_in(id, copy, Lost::CopyTruncate, now);",
           "        drop(copy);\n        self.go_on_in(id, Soon::Now(None), Lost::CopyTruncate, now);"),
    Mutant("tail: copies in another folder are not looked for after a restart",
           "agent/src/tail/resume.rs",
           "        copies.extend(self.copies_aside(slot, known));",
           "        copies.extend(self.copies_aside(slot, &known[..0]));",
           (unit("tail::tests::restarts::"),)),
    Mutant("tail: a place that no pattern means takes up files",
           "agent/src/tail/files.rs",
           "slot.meant || self.sets[slot.set].patterns.is_match(&slot.path)",
           "slot.meant || self.sets[slot.set].patterns.is_match(&slot.path) || true",
           (unit("tail::tests::restarts::"),)),
    Mutant("tail: what stood at the path in between does not count",
           "agent/src/tail/looking.rs",
           "        let in_its_place = self.newest_detached(index) == left;",
           "        let in_its_place = self.newest_detached(index) == left || true;",
           (unit("tail::tests::truncations::"),)),
    Mutant("tail: a copy that was made after that of what was read is old",
           "agent/src/tail/resume.rs",
           "(None, None) if in_place => newest.last_ms.map_or_else(Vec::new, since),",
           "(None, None) if in_place => Vec::new(),",
           (unit("tail::tests::restarts::"),)),
    Mutant("tail: what comes while a start looks through copies is searched for",
           "agent/src/tail/copies.rs",
           "!self.is_meant(index) || self.resuming.contains_key(&index)",
           "!self.is_meant(index) || false && self.resuming.contains_key(&index)",
           (unit("tail::tests::restarts::"),)),
    Mutant("tail: a start compares with all copies, however old",
           "agent/src/tail/resume.rs",
           "if likeness.is_by_content() && at < *oldest {",
           "if false && likeness.is_by_content() && at < *oldest {",
           (unit("tail::tests::restarts::"),)),
    Mutant("tail: a copy under another name is news",
           "agent/src/tail/copies.rs",
           "            .is_some_and(|stood| stood.is_as_written(&sibling.stat))",
           "            .is_some_and(|stood| stood.is_as_written(&sibling.stat) && false)",
           (unit("tail::tests::bounds::"),)),
    Mutant("pipeline: a stream is named after where a copy stands",
           "agent/src/pipeline/sights.rs",
           "        let path = followed.as_deref().unwrap_or(path);",
           "        let path = followed.as_deref().filter(|_| false).unwrap_or(path);",
           (unit("pipeline::tests::"),)),
    # ledger
    Mutant("ledger: a snapshot forgets which log a copy in another folder is of",
           "agent/src/ledger/state.rs",
           "            if generation.left().is_some() {",
           "            if generation.left().is_some() && self.generations.is_empty() {",
           (unit("ledger::"),)),
    Mutant("ledger: what is in flight does not count as dealt with after a restart",
           "agent/src/ledger/state/generation.rs",
           "            .or_else(|| self.in_flight.run_end(start))",
           "            .or_else(|| self.in_flight.run_end(start).filter(|_| false))",
           (unit("ledger::state::"), EVERY_LINE)),
    Mutant("ledger: a commit does not sync",
           "agent/src/ledger/store.rs",
           "        if self.tail.is_empty() {\n            return Ok(());\n        }\n        self.sync()",
           "        Ok(())",
           (unit("ledger::store::"), EVERY_LINE)),
    Mutant("ledger: bytes may be settled twice",
           "agent/src/ledger/state/generation.rs",
           "        if self.settled.overlaps(span.start, span.end) {\n            return Err(Contradiction::SettledTwice(span));\n        }\n",
           "",
           (unit("ledger::state::"),)),
    Mutant("ledger: a generation is forgotten with bytes pending",
           "agent/src/ledger/state.rs",
           "        if pending_bytes > 0 {",
           "        if pending_bytes > u64::MAX - 1 {",
           (unit("ledger::state::"),)),
    Mutant("ledger: a batch that landed stays in flight",
           "agent/src/ledger/state.rs",
           "            generation.answered(part.span);\n            generation.settle(part.span, &part.not_shipped)?;",
           "            generation.settle(part.span, &part.not_shipped)?;",
           (unit("ledger::state::"),)),
    Mutant("ledger: what was rejected counts as shipped, too",
           "agent/src/ledger/state/generation.rs",
           "            shipped = shipped.saturating_sub(*bytes);",
           "            shipped = shipped.saturating_sub(0 * *bytes);",
           (unit("ledger::state::"),)),
    Mutant("ledger: the account of what was forgotten is not kept",
           "agent/src/ledger/state.rs",
           "        retired.totals.add(generation.totals());",
           "        let _ = &mut retired.totals;",
           (unit("ledger::"), EVERY_LINE)),
    Mutant("ledger: a number of a generation is given again after a restart",
           "agent/src/ledger/state.rs",
           "        self.next_generation = self.next_generation.max(id.0.saturating_add(1));",
           "        self.next_generation = self.next_generation.max(id.0);",
           (unit("ledger::"), EVERY_LINE)),
    Mutant("ledger: the older of two segments is read",
           "agent/src/ledger/recover.rs",
           "        .max_by_key(|(_, _, header)| header.epoch);",
           "        .min_by_key(|(_, _, header)| header.epoch);",
           (unit("ledger::"),)),
    # ship
    Mutant("ship: a request without an answer is sent again unseen",
           "agent/src/ship/decide.rs",
           "(Tried::Put { .. }, Kind::Unknown | Kind::Service) => Action::Doubt,",
           "(Tried::Put { .. }, Kind::Unknown | Kind::Service) => Action::Again,",
           (unit("ship::decide::"), EVERY_LINE)),
    Mutant("ship: a request without an answer is taken for one that arrived",
           "agent/src/ship/decide.rs",
           "(Tried::Put { .. }, Kind::Unknown | Kind::Service) => Action::Doubt,",
           "(Tried::Put { .. }, Kind::Unknown | Kind::Service) => Action::Done,",
           (unit("ship::decide::"), EVERY_LINE)),
    Mutant("ship: equal lines of other batches are not told apart",
           "agent/src/ship/resolve.rs",
           "            *count -= 1;\n        }\n    }\n",
           "            *count -= 0;\n        }\n    }\n",
           (unit("ship::resolve::"), EVERY_LINE)),
    Mutant("ship: what stands once in the stream is taken for two lines that read the same",
           "agent/src/ship/resolve.rs",
           "            Some(count) if *count > 0 => *count -= 1,",
           "            Some(count) if *count > 0 => {}",
           (unit("ship::resolve::"),)),
    Mutant("ship: a doubtful batch is looked for before what it sent can be visible",
           "agent/src/ship/doubts.rs",
           "        let not_before = now + self.limits.settle;\n        let Some(job)",
           "        let not_before = now;\n        let Some(job)",
           (unit("ship::"), EVERY_LINE)),
    Mutant("ship: of a request that arrived in part, what does not show at the first look is sent again",
           "agent/src/ship/doubts.rs",
           "        if found < piece.len() && doubt.seen != Some(found) {",
           "        if found > piece.len() && doubt.seen != Some(found) {",
           (unit("ship::"), EVERY_LINE)),
    Mutant("ship: a single line is given up although the service has taken nothing yet",
           "agent/src/ship/decide.rs",
           "                single: true,\n                proven: false,\n            },\n            Kind::Invalid,\n        ) => Action::Hold,",
           "                single: true,\n                proven: false,\n            },\n            Kind::Invalid,\n        ) => Action::Reject,",
           (unit("ship::decide::"),)),
    Mutant("ship: what is rejected in a part of a batch is counted of the whole batch's first line",
           "agent/src/ship/job.rs",
           "            let entry = self.batch.events[*index as usize];\n            let not_shipped",
           "            let entry = self.batch.events[0 * *index as usize];\n            let not_shipped",
           (unit("ship::job::"),)),
    Mutant("ship: batches of one stream that share a time leave side by side",
           "agent/src/ship/order.rs",
           "            neighbour.is_doubtful() || (other < id && holds_back(neighbour))",
           "            neighbour.is_doubtful() || (other < id && !holds_back(neighbour))",
           (unit("ship::"), model("in_order"))),
    # batch
    Mutant("batch: a line more than two hours ahead is sent with its own time",
           "agent/src/batch/limits.rs",
           "    if age_ms < -AHEAD_MS_MAX {\n        return Admission::Restamp;\n    }\n",
           "",
           (unit("batch::"),)),
    Mutant("batch: a batch may span more than a day",
           "agent/src/batch/limits.rs",
           "pub const BATCH_SPAN_MS_MAX: i64 = DAY_MS;",
           "pub const BATCH_SPAN_MS_MAX: i64 = 2 * DAY_MS;",
           (unit("batch::"),)),
    # pipeline
    Mutant("pipeline: intents are not durable before their batch leaves",
           "agent/src/pipeline/mod.rs",
           "                Record::Intent(_)\n                    | Record::Found { .. }",
           "                Record::Found { .. }"),
    Mutant("pipeline: a record that the state refuses is dropped without a word",
           "agent/src/pipeline/books.rs",
           "            Err(error) => self.refused(&record, &error),",
           "            Err(_) => {}",
           (unit("pipeline::"),)),
    Mutant("pipeline: what is read before the service's time is known is stamped by the host's",
           "agent/src/pipeline/time.rs",
           "        self.clock.is_known()\n    }\n\n    /// When the time",
           "        true\n    }\n\n    /// When the time",
           (unit("pipeline::"), model("by_a_clock_that_is_off"))),
    Mutant("pipeline: after a restart, what landed out of order is read again",
           "agent/src/pipeline/source.rs",
           "self.at = self.at.max(self.done.remove(0).end);",
           "self.done.remove(0);"),
]


def place(root, mutant):
    """The file's text, or None where it does not hold, exactly once, what is to be broken."""
    path = root / mutant.file
    source = path.read_text() if path.exists() else ""
    return source if source.count(mutant.before) == 1 else None


def noticed(copy, mutant, environment):
    """Whether one of its tests fails; None where it does not compile."""
    for test in mutant.tests:
        arguments = ["cargo", "test", "-q", "-p", "baker-agent", *test]
        build = subprocess.run([*arguments[:arguments.index("--")], "--no-run"], cwd=copy, env=environment,
                               capture_output=True, text=True)
        if build.returncode != 0:
            print(build.stderr[-1500:], flush=True)
            return None
        run = subprocess.run(arguments, cwd=copy, env=environment, capture_output=True, text=True)
        if run.returncode != 0:
            return test[-1]
    return ""


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    words = [word for word in sys.argv[1:] if word != "--check"]
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    stale = [mutant for mutant in chosen if place(root, mutant) is None]
    for mutant in stale:
        print(f"stale     {mutant.name}: {mutant.file} does not hold, exactly once, what is to be broken", flush=True)
    if "--check" in sys.argv[1:]:
        return 1 if stale else 0
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target")).resolve()
    environment = dict(os.environ, CARGO_TARGET_DIR=str(target), MODEL_CASES=os.environ.get("MODEL_CASES", "200"),
                       MODEL_SEED=os.environ.get("MODEL_SEED", "1"), RUST_BACKTRACE="0")
    # Always the same folder, so that only what is broken is built again.
    copy = target / "mutants"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy, symlinks=True, ignore=shutil.ignore_patterns("target", ".git"))
    survivors = []
    for mutant in chosen:
        source = place(copy, mutant)
        if source is None:
            continue
        path = copy / mutant.file
        path.write_text(source.replace(mutant.before, mutant.after))
        test = noticed(copy, mutant, environment)
        path.write_text(source)
        if test is None:
            stale.append(mutant)
            print(f"stale     {mutant.name}: it does not compile", flush=True)
        elif test:
            print(f"caught    {mutant.name}: {test}", flush=True)
        else:
            survivors.append(mutant)
            print(f"survived  {mutant.name}", flush=True)
    shutil.rmtree(copy)
    print(f"{len(chosen) - len(survivors) - len(stale)} of {len(chosen)} caught, {len(stale)} stale")
    return 1 if survivors or stale else 0


if __name__ == "__main__":
    sys.exit(main())
