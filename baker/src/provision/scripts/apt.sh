# Installs packages: DIRECTORY UPGRADE ("dist" or "") PACKAGE…; as root. What is remembered between
# steps lies in DIRECTORY.
directory=$1 upgrade=$2
shift 2
mkdir -p -m 0711 "$directory"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 NEEDRESTART_MODE=a UCF_FORCE_CONFFOLD=1

# apt 1.6 can't wait for a lock by itself (DPkg::Lock::Timeout came with 1.9.11; older ones ignore it).
# dpkg's locks are fcntl locks, which flock(1) does not see.
wait_for_locks() {
    command -v python3 >/dev/null || return 0
    python3 - <<'PYTHON'
import fcntl, sys, time
LOCKS = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock"]
def held(path):
    try:
        with open(path, "r+") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except (BlockingIOError, PermissionError):
        return True
    return False
deadline, told = time.monotonic() + 600, False
while any(held(path) for path in LOCKS):
    if not told:
        print("waiting for another apt or dpkg to finish", flush=True)
        told = True
    if time.monotonic() > deadline:
        sys.exit("another apt or dpkg holds its lock for more than 10 minutes")
    time.sleep(0.2)
PYTHON
}

apt_get() {
    wait_for_locks
    # A changed configuration file is kept: the recipe put it there.
    apt-get --quiet --yes \
        -o DPkg::Lock::Timeout=600 \
        -o Acquire::Retries=3 \
        -o APT::Update::Error-Mode=any \
        -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold \
        "$@" </dev/null
}

# Once for a bake, and again when a step has changed what apt reads.
updated=$directory/apt-updated
if [ ! -e "$updated" ] || [ -n "$(find /etc/apt -newer "$updated" -print -quit)" ]; then
    apt_get update
    touch "$updated"
fi
if [ "$upgrade" = dist ]; then
    apt_get dist-upgrade
fi
# What the recipe names is what the image gets, with what that depends on.
if [ "$#" -gt 0 ]; then
    apt_get install --no-install-recommends "$@"
fi
