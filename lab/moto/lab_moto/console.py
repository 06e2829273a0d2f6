"""GetConsoleOutput: what the host has really printed, which the lab keeps in a file for each host."""

import base64
import os
from datetime import datetime, timezone

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.responses.general import General

from .patching import around

# What EC2 keeps and shows (GetConsoleOutput, API reference).
SHOWN_BYTES = 64 * 1024


class Settings:
    """Set once, before the first request."""

    hosts_dir = None


@around(General, "get_console_output")
def get_console_output(_moto, response):
    instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
    response.error_on_dryrun()
    output, written = _end_of_console(instance.id)
    return ActionResult(
        {
            "InstanceId": instance.id,
            "Timestamp": written,
            "Output": Base64EncodedString(base64.b64encode(output).decode()),
        }
    )


def _end_of_console(instance_id):
    """(last bytes, time of the last of them); nothing for a host that has printed nothing or is gone."""
    try:
        with open(Settings.hosts_dir / instance_id / "console.log", "rb") as file:
            status = os.fstat(file.fileno())
            file.seek(max(0, status.st_size - SHOWN_BYTES))
            written = datetime.fromtimestamp(status.st_mtime, timezone.utc).replace(tzinfo=None)
            return file.read(SHOWN_BYTES), written
    except FileNotFoundError:
        return b"", utcnow()
