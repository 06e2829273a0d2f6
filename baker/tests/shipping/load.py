"""Load on a host: a line through syslog and a request through nginx, so many times a second.

load.py PATH NAME RATE COUNT: both are numbered and bear the name. Ends after COUNT, or when it is told to."""
import signal
import sys
import syslog
import time
import urllib.request

path, name, rate, count = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
running = True


def end(*_):
    global running
    running = False


signal.signal(signal.SIGTERM, end)
begun = time.monotonic()
done = 0
while running and done < count:
    syslog.syslog("%s %d." % (name, done))
    try:
        urllib.request.urlopen("http://127.0.0.1%s%s-%d." % (path, name, done), timeout=10).read()
    except OSError:
        pass  # a host that goes down ends its servers in some order
    done += 1
    time.sleep(max(0.0, begun + done / rate - time.monotonic()))
