#!/bin/bash
# Why: the application's packages are its own, exactly the pinned ones, and are not touched by the system's
# Python packages. Made by root and readable by the app group. VENV REQUIREMENTS
set -euo pipefail
venv=$1 requirements=$2

# An environment for another list, or a half-made one, is made anew: nothing is left of what was unpinned.
stamp=$venv/.requirements
if ! cmp --silent "$requirements" "$stamp"; then
    rm -rf "$venv"
    umask 027
    python3 -m venv "$venv"
    # --no-deps: what is not in the file, with its hash, does not come in.
    "$venv/bin/python" -m pip install \
        --disable-pip-version-check --no-cache-dir --no-input --require-hashes --no-deps \
        --requirement "$requirements"
    "$venv/bin/python" -m compileall -q "$venv/lib"
    chgrp -R app "$venv"
    cp "$requirements" "$stamp"
fi
