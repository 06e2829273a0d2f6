# Unpacks a tree from stdin: TO OWNER GROUP ROOT_MODE ROOT_IS_NAMED; as root.
to=$1 owner=$2 group=$3 mode=$4 named=$5
need_account "$owner" "$group"
if [ ! -d "$to" ]; then
    mkdir -p "$to"
    named=yes
fi
# A directory that was there keeps its owner, unless the recipe names one.
if [ "$named" = yes ]; then
    chown "$owner:$group" "$to"
    chmod "$mode" "$to"
fi
# A link to a directory on the host (/lib on merged systems) stays one.
# The stream is compressed only where that saves something: forced, gzip passes on what is not.
tar --extract --use-compress-program='gzip --stdout --force' --file=- --directory="$to" --same-owner --same-permissions --keep-directory-symlink
