#!/bin/bash
# Why: Jenkins comes from its own repository, and only with its own key: REPOSITORY KEY FINGERPRINT. A repository on this host ("file:…")
# has no key.
set -euo pipefail
repository=$1 key=$2 fingerprint=$3
list=/etc/apt/sources.list.d/jenkins.list

case $repository in
file:*)
    echo "deb [trusted=yes] $repository" >"$list"
    exit 0
    ;;
esac

kept=/usr/share/keyrings/jenkins.asc
new=$(mktemp)
trap 'rm -f "$new"' EXIT
python3 - "$key" "$new" <<'PYTHON'
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as answer, open(sys.argv[2], "wb") as file:
    file.write(answer.read(1 << 20))
PYTHON
command -v gpg >/dev/null || apt-get install --yes --quiet --no-install-recommends gnupg
found=$(GNUPGHOME=$(mktemp -d) gpg --batch --quiet --with-colons --import-options show-only --import "$new" | awk -F: '$1 == "fpr" { print $10; exit }')
[ "$found" = "$fingerprint" ] || {
    echo "$key holds the key $found, not $fingerprint; compare both with https://www.jenkins.io/doc/book/installing/linux/" >&2
    exit 1
}
install -o root -g root -m 0644 "$new" "$kept"
echo "deb [signed-by=$kept] $repository" >"$list"
