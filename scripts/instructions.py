#!/usr/bin/env python3
"""Counts the agent's instructions beside another build's, whatever else the machine does.

    scripts/instructions.py AGENT OTHER LAB [--seconds 20] [--runs 3]

Each build runs under `valgrind --tool=callgrind` against `LAB endpoint`: once with nothing to do, and once with a log that gets 100 lines
a second and is rotated half-way. What a start and an end take is counted by itself and taken off. Prints medians and lines
`ratio NAME VALUE`. Needs valgrind. Valgrind runs one thread at a time and several tens of times slower, so times mean nothing here.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LINES_PER_S = 100
READY_S = 60


def start_endpoint(lab, folder):
    endpoint = subprocess.Popen([lab, "endpoint", "--any-credentials", "--state-dir", folder / "lab"],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return endpoint, json.loads(endpoint.stdout.readline())["url"]


def shipped(agent, config):
    said = subprocess.run([agent, "status", "--config", config, "--output", "json"], capture_output=True, text=True)
    try:
        return json.loads(said.stdout)["totals"]["shipped_bytes"]
    except (ValueError, KeyError):
        return 0


def await_shipped(agent, config, at_least):
    deadline = time.monotonic() + READY_S
    while shipped(agent, config) < at_least:
        if time.monotonic() > deadline:
            sys.exit(f"{agent} did not ship {at_least} bytes within {READY_S} s")
        time.sleep(0.2)


def instructions(agent, lab, seconds, lines_per_s):
    """What one life takes: a first line, so many seconds with so many lines, and the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "app.log"
        log.write_text("the first line\n")
        endpoint, url = start_endpoint(lab, folder)
        try:
            config = folder / "agent.toml"
            config.write_text(
                f'[agent]\nstate_dir = "{folder}/state"\ninstance_id = "i-0123456789abcdef0"\nregion = "us-east-1"\n'
                f'endpoint_url = "{url}"\n[[file]]\npath = "{log}"\ngroup = "g"\nstream = "s"\nformat = "none"\nstart = "beginning"\n')
            counted = folder / "callgrind.out"
            process = subprocess.Popen(
                ["valgrind", "--tool=callgrind", f"--callgrind-out-file={counted}", agent, "run", "--config", config],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            written = log.stat().st_size
            await_shipped(agent, config, written)
            begun = time.monotonic()
            for second in range(seconds):
                if second == seconds // 2 and lines_per_s:
                    log.rename(folder / "app.log.1")
                if lines_per_s:
                    text = "".join(f"{second:08}.{n:03} GET /a/path/of/some/length?with=a&query=string 200 1234\n"
                                   for n in range(lines_per_s))
                    with log.open("a") as file:
                        file.write(text)
                    written += len(text)
                time.sleep(max(0, begun + second + 1 - time.monotonic()))
            await_shipped(agent, config, written)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=READY_S)[1]
            return int(re.search(r"Collected : (\d+)", said).group(1))
        finally:
            endpoint.terminate()
            endpoint.wait()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("agent")
    arguments.add_argument("other")
    arguments.add_argument("lab")
    arguments.add_argument("--seconds", type=int, default=20)
    arguments.add_argument("--runs", type=int, default=3)
    given = arguments.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    found = {}
    for what, seconds, lines in [("start", 0, 0), ("idle", given.seconds, 0), ("steady", given.seconds, LINES_PER_S)]:
        runs = {agent: [] for agent in (given.agent, given.other)}
        for _ in range(given.runs):
            for agent, counts in runs.items():
                counts.append(instructions(agent, given.lab, seconds, lines))
        for agent, counts in runs.items():
            found[agent, what] = statistics.median(counts)
            print(f"{agent}: {what}: {', '.join(f'{count:,}' for count in counts)} instructions")
        ours, others = found[given.agent, what], found[given.other, what]
        print(f"ratio {what}_instructions_vs_other {ours / others:.3f}")
        if what != "start":
            ours -= found[given.agent, "start"]
            others -= found[given.other, "start"]
            print(f"ratio {what}_instructions_without_the_start_vs_other {ours / others:.3f}", flush=True)


main()
