#!/usr/bin/env bash
# Library: inotify of Linux (fs/notify, seen on 6.1 and later), through inotify-simple 1.3.5 of PyPI and coreutils' touch.
# Behaviour: setting both times of a file (`touch`) is told as IN_ATTRIB, as inotify(7) says ("metadata changed, for example, timestamps").
#   Setting the time of the last write alone (`touch -m`) is told as IN_MODIFY, as if the file had been written; the time of the last
#   access alone (`touch -a`) as IN_ACCESS, as if it had been read.
# Why it matters: a follower that takes IN_MODIFY without growth for a file written anew sends a touched log again.
# Fails if that changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check inotify-simple==1.3.5
mkdir "$folder/watched"
echo text >"$folder/watched/log"
"$folder/venv/bin/python" - "$folder/watched" <<'PYTHON'
import subprocess, sys
from inotify_simple import INotify, flags

folder = sys.argv[1]
inotify = INotify()
inotify.add_watch(folder, flags.MODIFY | flags.ATTRIB | flags.ACCESS)
failed = False
for options, expected in (([], "ATTRIB"), (["-m"], "MODIFY"), (["-a"], "ACCESS")):
    subprocess.run(["touch", *options, f"{folder}/log"], check=True)
    seen = {flag.name for event in inotify.read(timeout=1000) for flag in flags.from_mask(event.mask)}
    print("touch", *options, "->", *sorted(seen))
    failed |= seen != {expected}
sys.exit(failed)
PYTHON
uname -r
