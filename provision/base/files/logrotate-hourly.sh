#!/bin/sh
# logrotate itself comes by once a day, but `maxsize` in its rules is only looked at when it comes. What is
# not due by date or size is left alone.
exec /usr/sbin/logrotate /etc/logrotate.conf
