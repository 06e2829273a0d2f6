"""Settings of gunicorn. The socket comes from systemd (gunicorn.socket)."""
import multiprocessing

# gunicorn's own rule of thumb, for workers that also wait; each takes about 20 MB.
workers = min(2 * multiprocessing.cpu_count() + 1, 9)
# A request may take this long; nginx waits a little longer.
timeout = 30
graceful_timeout = 30
# Heartbeats, on tmpfs (RuntimeDirectory).
worker_tmp_dir = "/run/gunicorn"
# A leak somewhere must not grow for weeks; not all workers at once.
max_requests = 10000
max_requests_jitter = 1000

# `create` of logrotate makes the next files; on USR1 they are opened anew.
accesslog = "/var/log/gunicorn/access.log"
errorlog = "/var/log/gunicorn/error.log"
loglevel = "info"
# One line a request: the "combined" format, then the id that nginx gave it and the microseconds it took.
# The peer of a unix socket has no address: the client's is the one that nginx set.
access_log_format = (
    '%({x-real-ip}i)s - - %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" req=%({x-request-id}i)s us=%(D)s'
)
