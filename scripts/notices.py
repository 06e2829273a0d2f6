#!/usr/bin/env python3
"""Prints the licences of everything that is linked into the agent's binary, as those licences ask for: each text once, with
the packages that come under it. Usage: notices.py TARGET"""

import collections
import json
import pathlib
import subprocess
import sys

ROOT = "baker-agent"
# How licence files are called, in capitals.
NAMES = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")


def linked(metadata):
    """The packages that ROOT depends on to run, without the workspace's own."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    waiting = [package["id"] for package in packages.values() if package["name"] == ROOT]
    seen = set(waiting)
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            # No kind: neither a build's nor a test's. What only runs inside the compiler is not linked.
            runs = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if runs and dependency["pkg"] not in seen and not is_macro(packages[dependency["pkg"]]):
                seen.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    found = [packages[identity] for identity in seen if packages[identity]["source"]]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def texts(package):
    """The licence files at the top of the package's source, each as (name, text)."""
    folder = pathlib.Path(package["manifest_path"]).parent
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.upper().startswith(NAMES):
            yield path.name, path.read_text(encoding="utf-8", errors="replace").strip()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", sys.argv[1]]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    packages = linked(metadata)
    under = collections.defaultdict(list)
    for package in packages:
        for _, text in texts(package):
            under[text].append(f"{package['name']} {package['version']}")

    print("baker-agent is linked with the Rust packages below and with Rust's standard library (MIT OR Apache-2.0).\n")
    for package in packages:
        origin = package["repository"] or package["homepage"] or ""
        print(f"{package['name']} {package['version']}: {package['license'] or 'see its licence file'}  {origin}".rstrip())
    for text, users in sorted(under.items(), key=lambda item: (item[1], item[0])):
        print("\n" + "=" * 100)
        print("of " + ", ".join(sorted(set(users))) + "\n")
        print(text)


if __name__ == "__main__":
    main()
