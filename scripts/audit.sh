#!/usr/bin/env bash
# Audits the dependencies with cargo-deny: licences, sources, duplicates, and known vulnerabilities where their database can be fetched.
set -euo pipefail

tools=${XDG_CACHE_HOME:-$HOME/.cache}/baker/tools
version=0.20.2
deny=$(command -v cargo-deny || echo "$tools/bin/cargo-deny")

if ! "$deny" --version 2>/dev/null | grep -qF "$version"; then
    echo "installing cargo-deny $version (once)"
    cargo install --locked --quiet --root "$tools" --version "$version" cargo-deny
    deny=$tools/bin/cargo-deny
fi
"$deny" --log-level warn check bans licenses sources
if ! "$deny" fetch db >/dev/null 2>&1; then
    echo "the database of known vulnerabilities could not be fetched: advisories were not checked" >&2
    exit 0
fi
"$deny" --log-level warn check advisories
