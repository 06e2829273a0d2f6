#!/usr/bin/env bash
# Installs what `make demo`, `make test`, `make dist` or `make bench` needs on Debian or Ubuntu and this machine lacks; says in one line what it can't install, and why it is needed.
set -euo pipefail

purpose=${1:?usage: deps.sh demo|test|dist|bench}
rust_needed=1.94.1

fail() {
    echo "make $purpose: $*" >&2
    exit 1
}

[ "$(uname -s)" = Linux ] || fail "needs Linux, because the lab boots Linux hosts with systemd-nspawn (this is $(uname -s))"

command -v cargo >/dev/null || fail "needs Rust $rust_needed or newer, because everything here is built with cargo: see https://rustup.rs"
rust=$(rustc --version | cut -d' ' -f2)
[ "$(printf '%s\n' "$rust_needed" "${rust%%-*}" | sort -V | head -n 1)" = "$rust_needed" ] ||
    fail "needs Rust $rust_needed or newer, because the AWS SDK does (this is $rust): rustup update"

# Each line: package, a file or program that shows that it is there.
needed() {
    cat <<'LIST'
gcc gcc
libc6-dev /usr/include/stdlib.h
make make
LIST
    if [ "$purpose" = dist ]; then
        cat <<'LIST'
binutils readelf
dpkg dpkg-deb
gzip gzip
LIST
        return
    fi
    cat <<'LIST'
systemd-container systemd-nspawn
debootstrap debootstrap
iproute2 ip
curl curl
openssh-client ssh
perl /usr/share/perl/5*/FindBin.pm
LIST
    # Benchmarks measure against some of the strangers that tests let in.
    if [ "$purpose" != demo ]; then
        cat <<'LIST'
gzip gzip
logrotate logrotate
openssh-server sshd
openssl openssl
packer packer
LIST
    fi
    # What is packed is looked at, and so are the scripts that do it.
    if [ "$purpose" = test ]; then
        cat <<'LIST'
binutils readelf
dpkg dpkg-deb
groff-base groff
shellcheck shellcheck
LIST
    fi
}

present() {
    case $1 in
    # A pattern may match several versions.
    /*) compgen -G "$1" >/dev/null ;;
    *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] ;;
    esac
}

missing=()
while read -r package sign; do
    present "$sign" || missing+=("$package")
done < <(needed)
# Debian splits the module that makes virtual environments usable off the interpreter.
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)

if [ "${#missing[@]}" -gt 0 ]; then
    command -v apt-get >/dev/null ||
        fail "needs ${missing[*]}, to boot the lab's hosts and to build, and can install packages on Debian and Ubuntu only: install them by hand"
    as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            fail "needs ${missing[*]}, to boot the lab's hosts and to build, but you are not root and there is no sudo"
        as_root=(sudo)
    fi
    echo "installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    installable=()
    for package in "${missing[@]}"; do
        if [ "$package" = packer ] && [ -z "$(apt-cache search --names-only '^packer$')" ]; then
            echo "this distribution carries no Packer: the test that bakes with it is left out"
        else
            installable+=("$package")
        fi
    done
    if [ "${#installable[@]}" -gt 0 ]; then
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${installable[@]}" >/dev/null
    fi
fi

# The logrotate of the hosts that are baked, whose libraries Debian has, too. Ubuntu keeps its archive; the content is pinned here.
bionic_logrotate=http://archive.ubuntu.com/ubuntu/pool/main/l/logrotate/logrotate_3.11.0-0.1ubuntu1_amd64.deb
bionic_logrotate_sha256=7e3ddaba91f40115337042afd94352b157e9c31cf02fc6da6237f6a6ff7c4405
if [ "$purpose" = test ] && [ "$(uname -m)" = x86_64 ]; then
    into=${CARGO_TARGET_DIR:-target}/logrotate-3.11
    if [ ! -x "$into/usr/sbin/logrotate" ]; then
        package=$(mktemp)
        if curl --silent --show-error --fail --max-time 60 --output "$package" "$bionic_logrotate" &&
            echo "$bionic_logrotate_sha256  $package" | sha256sum --check --status; then
            mkdir -p "$into"
            dpkg-deb --extract "$package" "$into"
        else
            echo "logrotate 3.11 can't be fetched from $bionic_logrotate: rotations are tested with this machine's alone"
        fi
        rm -f "$package"
    fi
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "needs Python 3.10 or newer as python3, because what is installed from PyPI does: moto, which keeps the lab's records, or the linker (this is $(python3 --version))"
if [ "$(id -u)" != 0 ] && [ "$purpose" != dist ]; then
    command -v sudo >/dev/null || fail "needs root for the lab, which mounts disks and makes network namespaces, but you are not root and there is no sudo"
fi
