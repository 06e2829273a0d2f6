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
    index=()
    # pip 9, of Ubuntu 18.04, knows the package index by a name that has moved since, and is only sent on from
    # there. A setting of the host's own (a mirror, say) comes first.
    if [ -z "${PIP_INDEX_URL:-}" ] && [ ! -e /etc/pip.conf ]; then
        moved=$("$venv/bin/python" -c '
try:
    from pip.models import PyPI  # pip 9
    print(PyPI.simple_url.replace(".python.org/", ".org/"))
except ImportError:
    pass')
        [ -z "$moved" ] || index=(--index-url "$moved")
    fi
    # --no-deps: what is not in the file, with its hash, does not come in.
    "$venv/bin/python" -m pip install \
        --disable-pip-version-check --no-cache-dir --no-input --require-hashes --no-deps \
        "${index[@]}" --requirement "$requirements"
    "$venv/bin/python" -m compileall -q "$venv/lib"
    chgrp -R app "$venv"
    cp "$requirements" "$stamp"
fi
