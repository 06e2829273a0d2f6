# Enables and starts a unit: NAME ENABLE START; as root.
name=$1 enable=$2 start=$3
systemctl daemon-reload
if [ "$enable" = yes ]; then
    systemctl enable "$name"
else
    systemctl disable "$name"
fi
if [ "$start" = yes ] && ! systemctl restart "$name"; then
    systemctl status --no-pager --lines=0 "$name" >&2 || true
    journalctl --no-pager --lines=15 --unit="$name" --output=cat >&2 || true
    exit 1
fi
