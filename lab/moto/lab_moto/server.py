"""moto's server with the control API beside it, one request at a time."""

import io
import json
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from . import control, failures


class Application:
    """moto, `/_lab/`, and a lock around both: a request sees the records before or after another, never halfway.

    moto itself does not guard its records against its own threads. Bodies are read before the lock is taken,
    so a slow client holds nobody up.
    """

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        body = _read_body(environ)
        path = environ.get("PATH_INFO", "")
        with self.lock:
            if path.startswith(control.PREFIX):
                status, document = control.answer(environ["REQUEST_METHOD"], path, body)
                return _respond(start_response, status, "application/json", json.dumps(document).encode())
            environ["wsgi.input"] = io.BytesIO(body)
            environ["wsgi.input_terminated"] = True
            environ["CONTENT_LENGTH"] = str(len(body))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            try:
                service = self.moto.get_application(environ)
            except Exception as error:
                return _respond(start_response, *failures.answer(environ, error, missing_service=True))
            try:
                return service(environ, start_response)
            except Exception as error:
                return _respond(start_response, *failures.answer(environ, error))


def _respond(start_response, status, content_type, body):
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]


def _read_body(environ):
    if environ.get("wsgi.input_terminated"):
        return environ["wsgi.input"].read()
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return environ["wsgi.input"].read(length) if length else b""


class RequestHandler(MotoRequestHandler):
    """moto's, without a line on stderr for each request: the front door keeps the log."""

    def log_request(self, code="-", size="-"):
        pass


def listen(port):
    """A server that already listens on the loopback address; port 0 chooses a free one."""
    return make_server("127.0.0.1", port, Application(), threaded=True, request_handler=RequestHandler)
