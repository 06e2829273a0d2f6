#!/bin/bash
# Why: Jenkins is the only site. The distribution's default one would answer for every name that nobody thought of.
set -euo pipefail

rm -f /etc/nginx/sites-enabled/default
ln -sfn /etc/nginx/sites-available/jenkins /etc/nginx/sites-enabled/jenkins

# The distribution's nginx.conf logs every request to access.log by itself, in its own format; the site's format replaces that, for the
# same file must not be written in two.
sed -i 's|^\(\s*\)access_log /var/log/nginx/access.log;|\1# access_log: sites-available/jenkins|' /etc/nginx/nginx.conf

install -d -o www-data -g adm -m 0750 /var/log/nginx
for log in access error; do
    file=/var/log/nginx/$log.log
    [ -e "$file" ] || install -o www-data -g adm -m 0640 /dev/null "$file"
    chown www-data:adm "$file"
    chmod 0640 "$file"
done

nginx -t
