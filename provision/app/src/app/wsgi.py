"""The WSGI entry point: `application`. Python 3.6 or newer, standard library only."""
import html
import json
import os
import re
import time
from http import HTTPStatus

from . import log

LOG = log.logger()
RELEASE = os.environ.get("RELEASE", "dev")
STARTED = time.monotonic()

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
<p>{text}</p>
<p><small>release {release}</small></p>
</body>
</html>
"""


def page(title, text, status=HTTPStatus.OK):
    """A page of plain text parts; nothing in it is taken for HTML."""
    body = PAGE.format(title=html.escape(title), text=html.escape(text), release=html.escape(RELEASE))
    return status, "text/html; charset=utf-8", body


def index(_environ):
    return page("It works", "nginx has asked gunicorn, and gunicorn has asked this application.")


def hello(environ, name):
    LOG.info("said hello to %r for request %s", name, environ.get("HTTP_X_REQUEST_ID", "-"))
    return page("Hello, {}!".format(name), "Nice to meet you.")


def health(_environ):
    """200 if this process can do its work, 503 with the reason if not."""
    problems = {"log": log.problem()}
    failed = {what: why for what, why in problems.items() if why}
    state = {  # of the worker that answers: each has an uptime of its own
        "status": "failed" if failed else "ok",
        "release": RELEASE,
        "uptime_s": round(time.monotonic() - STARTED, 3),
        "checks": {what: why or "ok" for what, why in problems.items()},
    }
    status = HTTPStatus.SERVICE_UNAVAILABLE if failed else HTTPStatus.OK
    return status, "application/json", json.dumps(state, sort_keys=True) + "\n"


ROUTES = [
    (re.compile(r"/"), index),
    (re.compile(r"/health"), health),
    (re.compile(r"/hello/([^/]{1,80})"), hello),
]


def answer(environ):
    """Status, content type and text for a request."""
    # WSGI hands paths over as latin-1; what came in is UTF-8.
    path = environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace") or "/"
    for pattern, view in ROUTES:
        match = pattern.fullmatch(path)
        if not match:
            continue
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return page("Method not allowed", "Only GET and HEAD.", HTTPStatus.METHOD_NOT_ALLOWED)
        return view(environ, *match.groups())
    return page("Not found", "There is nothing at {}.".format(path), HTTPStatus.NOT_FOUND)


def application(environ, start_response):
    """See PEP 3333."""
    try:
        status, content_type, text = answer(environ)
    except Exception:  # a request must end with an answer and a trace in the log
        LOG.exception("%s %r failed", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
        status, content_type, text = page("Error", "It is in the log.", HTTPStatus.INTERNAL_SERVER_ERROR)
    body = text.encode("utf-8")
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", "GET, HEAD"))
    start_response("{} {}".format(status.value, status.phrase), headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
