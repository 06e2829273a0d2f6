"""The application's own log: one line an event, with time, level and process."""
import logging
import logging.handlers
import os
import time

FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s [%(process)d] %(message)s"


def path():
    """The file, or None where the log goes to stderr (on a developer's machine)."""
    return os.environ.get("APP_LOG") or None


def logger():
    """The logger, with its handler."""
    log = logging.getLogger("app")
    if not log.handlers:
        # Notices that logrotate has put another file in the place of this one.
        handler = logging.handlers.WatchedFileHandler(path()) if path() else logging.StreamHandler()
        formatter = logging.Formatter(FORMAT, "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        handler.setFormatter(formatter)
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    return log


def problem():
    """Why the log can't be written, or None."""
    if path() is None:
        return None
    try:
        with open(path(), "ab"):
            return None
    except OSError as error:
        return "{}: {}".format(path(), error.strerror)
