# Sourced by what puts files on the host.
need_account() {
    id -u -- "$1" >/dev/null 2>&1 || {
        echo "there is no user $1 on the host; make it in an earlier step" >&2
        exit 67
    }
    getent group "$2" >/dev/null || {
        echo "there is no group $2 on the host; make it in an earlier step, or name another with \`group\`" >&2
        exit 67
    }
}
