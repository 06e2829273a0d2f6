# Unpacks one file from stdin: TO OWNER GROUP; as root.
to=$1 owner=$2 group=$3
need_account "$owner" "$group"
if [ -d "$to" ]; then
    echo "$to is a directory on the host; \`to\` must name the file itself" >&2
    exit 73
fi
mkdir -p "$(dirname "$to")"
# The stream is compressed only where that saves something: forced, gzip passes on what is not.
tar --extract --use-compress-program='gzip --stdout --force' --file=- --directory="$(dirname "$to")" --same-owner --same-permissions
