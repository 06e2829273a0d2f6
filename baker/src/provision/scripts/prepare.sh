# Makes the host quiet before the first step. No arguments; as root.

# What user-data started must not run beside the steps.
if command -v cloud-init >/dev/null; then
    cloud-init status --wait >/dev/null ||
        echo "cloud-init reports an error: $(cloud-init status --long 2>&1 | tr '\n' ' ')" >&2
fi

# The periodic jobs of apt stay away for this boot only: the mask lies in /run, the image has none.
for timer in apt-daily.timer apt-daily-upgrade.timer; do
    if systemctl cat "$timer" >/dev/null 2>&1; then
        systemctl --runtime mask --now "$timer" >/dev/null 2>&1 ||
            echo "could not stop $timer; apt will wait for its lock" >&2
    fi
done
