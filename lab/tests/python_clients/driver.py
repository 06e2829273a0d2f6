"""Runs AWS CLI commands and boto3 scripts, one JSON line each, in one process: starting Python for each would take longer.

In: ["aws", [argument, ...]] or ["boto3", script].  Out: {"status", "stdout", "stderr"}.
"""

import contextlib
import io
import json
import sys
import traceback

import boto3
from awscli.clidriver import create_clidriver
from botocore.exceptions import ClientError


# Kept, because reading EC2's API model takes longer than most commands.
MODELS = create_clidriver().session.get_component("data_loader")


def code(call, **arguments):
    """The code of the error that `call` answers, or None."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]


def show(value):
    """Prints the value of a script."""
    print(json.dumps(value, default=str))


def run(kind, order):
    if kind == "aws":
        cli = create_clidriver()
        cli.session.register_component("data_loader", MODELS)
        return cli.main(["--output", "json", *order])
    exec(order, {"boto3": boto3, "json": json, "ec2": boto3.client("ec2"), "code": code, "show": show})
    return 0


for line in sys.stdin:
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            status = run(*json.loads(line))
        except SystemExit as end:
            status = end.code
        except Exception:
            traceback.print_exc()
            status = 1
    print(json.dumps({"status": status, "stdout": stdout.getvalue(), "stderr": stderr.getvalue()}), flush=True)
