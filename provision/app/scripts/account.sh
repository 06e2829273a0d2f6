#!/bin/bash
# Why: gunicorn runs under an account of its own, which owns its logs and nothing else. It can read the code
# and its settings by its group; root owns them, so a hole in the application can't rewrite it.
set -euo pipefail

getent group app >/dev/null || groupadd --system app
if ! getent passwd app >/dev/null; then
    useradd --system --gid app --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin app
fi

install -d -o root -g app -m 0750 /srv/app /etc/app

# adm reads logs, as everywhere on this system. The files are there before their writers, so that owner and
# mode are decided here and by logrotate's `create`, nowhere else.
install -d -o app -g adm -m 0750 /var/log/gunicorn
for log in access error app; do
    file=/var/log/gunicorn/$log.log
    [ -e "$file" ] || install -o app -g adm -m 0640 /dev/null "$file"
done

# Debian's nginx package makes this directory readable by everybody, and newer ones leave it to root.
install -d -o www-data -g adm -m 0750 /var/log/nginx
for log in access error; do
    file=/var/log/nginx/$log.log
    [ -e "$file" ] || install -o www-data -g adm -m 0640 /dev/null "$file"
    chown www-data:adm "$file"
    chmod 0640 "$file"
done
