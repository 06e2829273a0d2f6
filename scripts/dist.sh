#!/usr/bin/env bash
# Builds what a host installs of the agent, below target/dist: a .deb and a tarball for each architecture, and SHA256SUMS.
# The binaries start on Ubuntu 18.04 and on whatever is newer. Built is each architecture whose Rust standard library is here.
#
#   REVISION=2           of the package, when the same version is packaged again (1)
#   SOURCE_DATE_EPOCH=…  the time that files in the packages have (the last commit's)
#   DEBFULLNAME, DEBEMAIL who answers for the package
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

# Ubuntu 18.04's (packages.ubuntu.com/bionic/libc6). The linker is given this version's symbols and no others.
readonly glibc=2.27
readonly architectures="x86_64 aarch64"
# What every system with that C library has.
readonly libraries='ld-linux-(x86-64|aarch64)\.so\..*|lib(c|m|dl|rt|pthread|gcc_s)\.so\.[0-9]'

target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR=$target_dir
out=$target_dir/dist
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "dist: $*" >&2
    exit 1
}

# cargo-zigbuild and the linker it drives, pinned by hash, in a virtual environment of their own that is made once.
linker() {
    local pins=packaging/requirements.txt key tools
    key=$({ cat "$pins"; python3 -c 'import sys; print(sys.version, sys.prefix)'; } | sha256sum | cut -c1-16)
    tools=${XDG_CACHE_HOME:-$HOME/.cache}/baker/tools/zig-$key
    mkdir -p "${tools%/*}"
    exec 9>"$tools.lock"
    flock 9
    if [ ! -e "$tools/complete" ]; then
        echo "installing cargo-zigbuild and zig into a virtual environment (once)" >&2
        rm -rf "$tools"
        python3 -m venv "$tools" >&2
        "$tools/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --progress-bar off \
            --require-hashes --no-deps --requirement "$pins" >&2 ||
            fail "pip could not install packaging/requirements.txt; check that its package index can be reached from here (pip config list)"
        touch "$tools/complete"
    fi
    exec 9>&-
    echo "$tools"
}

# Where the sources lie on this machine is nobody's business on another, and would make each machine's binary another one.
without_own_paths() {
    local flags=("--remap-path-prefix=$target_dir=/target") registry
    for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
        flags+=("--remap-path-prefix=${registry%/}=/crates")
    done
    local IFS=$'\x1f'
    echo "${flags[*]}"
}

# The highest version of the C library's symbols that a binary asks for.
highest_symbol() {
    readelf --version-info --wide "$1" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1
}

needed() {
    readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}

# Refuses a binary that would not start where it is meant to.
starts_on_old_systems() {
    local highest strange
    highest=$(highest_symbol "$1")
    [ "$(printf '%s\n' "GLIBC_$glibc" "$highest" | sort -V | tail -n 1)" = "GLIBC_$glibc" ] ||
        fail "$1 needs $highest, and Ubuntu 18.04 has $glibc: was it linked by cargo-zigbuild?"
    strange=$(needed "$1" | grep --invert-match --line-regexp --extended-regexp "$libraries" || true)
    [ -z "$strange" ] || fail "$1 needs shared libraries that a host may not have: ${strange//$'\n'/ }"
}

version=$(cargo metadata --locked --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(next(p["version"] for p in json.load(sys.stdin)["packages"] if p["name"] == "baker-agent"))')
export VERSION=$version REVISION=${REVISION:-1}
# A source tree without its history has a time, too. The compiler is not told: nothing of it is in the binary, and C dependencies
# would be compiled anew with every commit.
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat --format=%Y Cargo.lock)}
unset SOURCE_DATE_EPOCH

# The manual says what this machine's build of the command line says; it is the same for every architecture. Built as `make test` builds it.
cargo build --locked --quiet --workspace --example manual
"$target_dir/debug/examples/manual" "$scratch/manual" "$(date --utc --date="@$time" +%F)"

tools=$(linker)
sysroot=$(rustc --print sysroot)
binaries=()
left_out=()
for architecture in $architectures; do
    target=$architecture-unknown-linux-gnu
    if [ ! -d "$sysroot/lib/rustlib/$target/lib" ]; then
        left_out+=("$architecture: not built, because its Rust standard library is not installed here (rustup target add $target)")
        continue
    fi
    CARGO_ENCODED_RUSTFLAGS=$(without_own_paths) PATH=$tools/bin:$PATH \
        "$tools/bin/cargo-zigbuild" zigbuild --locked --profile packaged --package baker-agent --bin baker-agent --target "$target.$glibc"
    binary=$target_dir/$target/packaged/baker-agent
    starts_on_old_systems "$binary"
    binaries+=("$binary")
    scripts/notices.py "$target" >"$scratch/notices-$architecture"
    SOURCE_DATE_EPOCH=$time scripts/package.sh "$binary" "$architecture" "$scratch/manual" "$scratch/notices-$architecture" "$scratch/out"
done
[ "${#binaries[@]}" -gt 0 ] || fail "no architecture can be built here: ${left_out[*]}"

# All of it at once, so that nobody finds a new package beside an old sum.
(cd "$scratch/out" && sha256sum -- * >"$scratch/SHA256SUMS")
mv "$scratch/SHA256SUMS" "$scratch/out/"
rm -rf "$out"
mkdir -p "${out%/*}"
mv "$scratch/out" "$out"

for binary in "${binaries[@]}"; do
    printf '%s: %s bytes, highest symbol %s, needs %s\n' "${binary#"$target_dir/"}" "$(stat --format=%s "$binary")" \
        "$(highest_symbol "$binary")" "$(needed "$binary" | paste -sd ' ')"
done
for line in ${left_out[@]+"${left_out[@]}"}; do echo "$line"; done
echo "$out:"
(cd "$out" && stat --format='%10s  %n' -- *)
