#!/usr/bin/env python3
"""Breaks the agent on purpose, one place at a time, and sees whether the model test notices.

Each break is made in a copy of the repository. A break that the model test does not notice within MODEL_CASES random
histories (200 by default) is a survivor; the exit code is then 1. Takes a build of the agent for each break.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# name, file, what stands there, what is put in its place
BREAKS = [
    ("tail: a renamed file is dropped before it is read to its end",
     "agent/src/tail/looking.rs",
     "        generation.state = State::Detached { deleted: false };\n        let index = generation.slot;",
     "        generation.state = State::Detached { deleted: false };\n        generation.size = generation.consumed;\n"
     "        generation.source = Source::Gone;\n        let index = generation.slot;"),
    ("tail: after a truncation the copy is not looked for",
     "agent/src/tail/truncation.rs",
     "        match copy {\n            Some(copy) => self.take_over(id, copy, Lost::CopyTruncate, now),",
     "        match copy.filter(|_| false) {\n            Some(copy) => self.take_over(id, copy, Lost::CopyTruncate, now),"),
    ("ledger: what is in flight does not count as dealt with after a restart",
     "agent/src/ledger/state/generation.rs",
     "            .or_else(|| self.in_flight.run_end(start))",
     "            .or_else(|| self.in_flight.run_end(start).filter(|_| false))"),
    ("ledger: a commit does not sync",
     "agent/src/ledger/store.rs",
     "        if self.tail.is_empty() {\n            return Ok(());\n        }\n        self.sync()",
     "        Ok(())"),
    ("ship: a request without an answer is sent again unseen",
     "agent/src/ship/decide.rs",
     "(Tried::Put { .. }, Kind::Unknown | Kind::Service) => Action::Doubt,",
     "(Tried::Put { .. }, Kind::Unknown | Kind::Service) => Action::Again,"),
    ("ship: a request without an answer is taken for one that arrived",
     "agent/src/ship/decide.rs",
     "(Tried::Put { .. }, Kind::Unknown | Kind::Service) => Action::Doubt,",
     "(Tried::Put { .. }, Kind::Unknown | Kind::Service) => Action::Done,"),
    ("ship: equal lines of other batches are not told apart",
     "agent/src/ship/resolve.rs",
     "            *count -= 1;\n        }\n    }\n",
     "            *count -= 0;\n        }\n    }\n"),
    ("pipeline: intents are not durable before their batch leaves",
     "agent/src/pipeline/mod.rs",
     "Record::Intent(_) | Record::Found",
     "Record::Found"),
    ("pipeline: after a restart, what landed out of order is read again",
     "agent/src/pipeline/source.rs",
     "self.at = self.at.max(self.done.remove(0).end);",
     "self.done.remove(0);"),
]


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    chosen = [entry for entry in BREAKS if not sys.argv[1:] or any(word in entry[0] for word in sys.argv[1:])]
    target = os.environ.get("CARGO_TARGET_DIR", str(root / "target"))
    environment = dict(os.environ, CARGO_TARGET_DIR=target, MODEL_CASES=os.environ.get("MODEL_CASES", "200"),
                       RUST_BACKTRACE="0")
    survivors = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns("target", ".git"))
        for name, file, before, after in chosen:
            path = copy / file
            source = path.read_text()
            if source.count(before) != 1:
                print(f"stale     {name}: {file} does not hold, exactly once, what is to be broken", flush=True)
                survivors.append(name)
                continue
            path.write_text(source.replace(before, after))
            build = subprocess.run(["cargo", "test", "-q", "-p", "baker-agent", "--test", "model", "--no-run"],
                                   cwd=copy, env=environment, capture_output=True, text=True)
            if build.returncode != 0:
                print(f"stale     {name}: it does not compile\n{build.stderr[-1500:]}", flush=True)
                survivors.append(name)
            else:
                run = subprocess.run(["cargo", "test", "-q", "-p", "baker-agent", "--test", "model"],
                                     cwd=copy, env=environment, capture_output=True, text=True)
                verdict = "survived" if run.returncode == 0 else "caught"
                print(f"{verdict:9} {name}", flush=True)
                if run.returncode == 0:
                    survivors.append(name)
            path.write_text(source)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
