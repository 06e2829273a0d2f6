#!/bin/bash
# Why: the application is the only site. The distribution's default one would answer for every name that
# nobody thought of.
set -euo pipefail

rm -f /etc/nginx/sites-enabled/default
ln -sfn /etc/nginx/sites-available/app /etc/nginx/sites-enabled/app

# The distribution's nginx.conf logs every request to access.log by itself, in its own format; the site's
# format replaces that, for the same file must not be written in two.
sed -i 's|^\(\s*\)access_log /var/log/nginx/access.log;|\1# access_log: conf.d/20-log-format.conf|' /etc/nginx/nginx.conf

nginx -t
