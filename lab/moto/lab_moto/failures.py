"""Answers for what moto cannot do, in a form that clients can read: moto itself would send them a page of HTML."""

import json
import sys
import traceback
from xml.sax.saxutils import escape

XML = {
    # EC2's protocol has an envelope of its own.
    True: "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
    "<RequestID>lab</RequestID></Response>",
    False: "<ErrorResponse><Error><Type>{blame}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    "<RequestId>lab</RequestId></ErrorResponse>",
}


def answer(environ, error, missing_service=False):
    """(status line, content type, body) for an exception that moto did not turn into an answer."""
    if missing_service or isinstance(error, NotImplementedError):
        # 501 is not retried; 500 would be, in vain.
        what = "this service" if missing_service else f"this operation ({error})"
        return _say(environ, "501 Not Implemented", "NotImplemented", f"The lab does not have {what}", "Sender")
    traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    message = f"moto failed ({type(error).__name__}: {error}); the traceback is in its log"
    return _say(environ, "500 Internal Server Error", "InternalError", message, "Receiver")


def _say(environ, status, code, message, blame):
    if "json" in environ.get("CONTENT_TYPE", ""):
        return status, "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message}).encode()
    is_ec2 = "/ec2/aws4_request" in environ.get("HTTP_AUTHORIZATION", "")
    return status, "text/xml", XML[is_ec2].format(code=code, message=escape(message), blame=blame).encode()
