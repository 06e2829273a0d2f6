# Writes stdin to a file, whole or not at all: TO OWNER GROUP MODE; as root.
to=$1 owner=$2 group=$3 mode=$4
need_account "$owner" "$group"
if [ -d "$to" ]; then
    echo "$to is a directory on the host; \`to\` must name the file itself" >&2
    exit 73
fi
mkdir -p "$(dirname "$to")"
new=$(mktemp "$to.XXXXXX")
trap 'rm -f "$new"' EXIT
cat >"$new"
chown "$owner:$group" "$new"
chmod "$mode" "$new"
mv -fT "$new" "$to"
