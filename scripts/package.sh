#!/usr/bin/env bash
# Makes the .deb and the tarball of one binary: the same bytes from the same inputs, wherever and whenever.
# Usage: package.sh BINARY ARCHITECTURE MANUAL NOTICES OUT   with VERSION, REVISION and SOURCE_DATE_EPOCH in the environment
#   MANUAL   what the example `manual` wrote; NOTICES   what notices.py printed; OUT   a directory, made if it is not there
set -euo pipefail
umask 022

binary=$(realpath "$1") architecture=$2 manual=$(realpath "$3") notices=$(realpath "$4")
mkdir -p "$5"
out=$(realpath "$5")
: "${VERSION:?}" "${REVISION:?}" "${SOURCE_DATE_EPOCH:?}"
export SOURCE_DATE_EPOCH
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

command -v dpkg-deb >/dev/null || {
    echo "package: needs dpkg-deb (package dpkg), which makes the .deb" >&2
    exit 1
}
case $architecture in
x86_64) debian=amd64 ;;
aarch64) debian=arm64 ;;
*) echo "package: no Debian architecture is known for $architecture" >&2 && exit 1 ;;
esac
maintainer="${DEBFULLNAME:-baker maintainers} <${DEBEMAIL:-maintainers@baker.invalid}>"

# put FROM TO [MODE]
put() { install -D --mode="${3:-0644}" "$1" "$2"; }
# squeeze FROM TO: without the name and the time that gzip would note
squeeze() {
    mkdir -p "$(dirname "$2")"
    gzip --best --no-name <"$1" >"$2"
}

# --- the .deb: where Debian's policy wants things
root=$scratch/deb doc=$scratch/deb/usr/share/doc/baker-agent
put "$binary" "$root/usr/bin/baker-agent" 0755
put agent/baker-agent.toml "$root/etc/baker-agent/baker-agent.toml"
mkdir -p "$root/etc/baker-agent/conf.d"
# Not below /usr/lib: 18.04's deb-systemd-helper looks for units in /lib alone.
put systemd/baker-agent.service "$root/lib/systemd/system/baker-agent.service"
put systemd/baker-agent.sysusers "$root/usr/lib/sysusers.d/baker-agent.conf"
for page in "$manual"/man/*; do
    squeeze "$page" "$root/usr/share/man/man${page##*.}/${page##*/}.gz"
done
put "$manual/completions/baker-agent.bash" "$root/usr/share/bash-completion/completions/baker-agent"
put "$manual/completions/_baker-agent" "$root/usr/share/zsh/vendor-completions/_baker-agent"
put "$manual/completions/baker-agent.fish" "$root/usr/share/fish/vendor_completions.d/baker-agent.fish"
for example in agent/conf.d/*.toml; do
    put "$example" "$doc/examples/conf.d/${example##*/}"
done
put packaging/deb/copyright "$doc/copyright"
squeeze "$notices" "$doc/third-party-licences.gz"
squeeze CHANGELOG.md "$doc/changelog.gz"
printf 'baker-agent (%s-%s) stable; urgency=medium\n\n  * What is new: changelog.gz beside this file.\n\n -- %s  %s\n' \
    "$VERSION" "$REVISION" "$maintainer" "$(LC_ALL=C date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")" >"$scratch/changelog"
squeeze "$scratch/changelog" "$doc/changelog.Debian.gz"
put packaging/deb/lintian-overrides "$root/usr/share/lintian/overrides/baker-agent"

for script in postinst prerm postrm; do
    put "packaging/deb/$script" "$root/DEBIAN/$script" 0755
done
echo /etc/baker-agent/baker-agent.toml >"$root/DEBIAN/conffiles"
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
sed -e "s/@VERSION@/$VERSION-$REVISION/" -e "s/@ARCHITECTURE@/$debian/" -e "s/@MAINTAINER@/$maintainer/" \
    -e "s/@SIZE@/$(du --apparent-size --summarize --block-size=1024 --exclude=DEBIAN "$root" | cut -f1)/" \
    packaging/deb/control >"$root/DEBIAN/control"
# One thread, and a compression that 18.04's dpkg knows: the same bytes on every machine.
DPKG_DEB_THREADS_MAX=1 dpkg-deb --root-owner-group -Zxz --build "$root" "$out/baker-agent_$VERSION-${REVISION}_$debian.deb" >/dev/null

# --- the tarball: for systems without dpkg; docs/operations/install.md says what goes where
name=baker-agent-$VERSION-$architecture-linux-gnu
root=$scratch/tar/$name
put "$binary" "$root/bin/baker-agent" 0755
put agent/baker-agent.toml "$root/config/baker-agent.toml"
for example in agent/conf.d/*.toml; do
    put "$example" "$root/config/conf.d/${example##*/}"
done
for file in systemd/*; do put "$file" "$root/$file"; done
for page in "$manual"/man/*; do put "$page" "$root/man/${page##*/}"; done
for completion in "$manual"/completions/*; do put "$completion" "$root/completions/${completion##*/}"; done
put docs/operations/install.md "$root/INSTALL.md"
put CHANGELOG.md "$root/CHANGELOG.md"
put packaging/deb/copyright "$root/copyright"
put "$notices" "$root/third-party-licences"
tar --create --directory="$scratch/tar" --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" \
    --owner=root:0 --group=root:0 --numeric-owner "$name" | gzip --best --no-name >"$out/$name.tar.gz"
