"""The control API, `/_lab/`: the lab reads the records and reports what its hosts have done."""

import json

from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from . import groups, images, instances, records, states
from .network import every_backend

PREFIX = "/_lab/"
CREDENTIALS_LIFETIME_S = 6 * 3600


class Refused(Exception):
    """An answer other than 200: (status line, what the caller should know)."""

    def __init__(self, status, message, **details):
        super().__init__(message)
        self.status = status
        self.body = {"error": message, **details}


def answer(method, path, body):
    """(status line, JSON body) for one request."""
    try:
        return "200 OK", _route(method, path[len(PREFIX) :].split("/"), body)
    except Refused as refused:
        return refused.status, refused.body


def _route(method, parts, body):
    if method == "GET" and parts == ["records"]:
        return records.document()
    if method != "POST":
        raise Refused("405 Method Not Allowed", f"no {method} here")
    try:
        asked = json.loads(body or b"{}")
    except ValueError as error:
        raise Refused("400 Bad Request", f"the body is not JSON: {error}")
    if len(parts) == 3 and parts[2] == "state" and parts[0] in _SETTERS:
        return _SETTERS[parts[0]](parts[1], asked)
    if parts == ["credentials"]:
        return _credentials(asked)
    raise Refused("404 Not Found", "no such path")


def _find(kind, id_, look_up):
    for account, region, backend in every_backend():
        found = look_up(backend, id_)
        if found is not None:
            return backend, found
    raise Refused("404 Not Found", f"no {kind} {id_}")


def _set_instance_state(id_, asked):
    backend, instance = _find("instance", id_, lambda backend, id_: backend.get_instance_by_id(id_))
    state = asked.get("state")
    if instance.state not in states.REPORTABLE.get(state, ()):
        raise Refused("409 Conflict", f"{id_} is {instance.state} and cannot become {state}", state=instance.state)
    code, reason = asked.get("reason_code"), asked.get("reason", "")
    why = {"code": code, "reason": reason or code.split(".")[-1]} if code else {}
    if state == instance.state:
        pass
    elif state == "running":
        states.enter(instance, "running")
    elif state == "stopping":
        instances.begin_stop(instance, **why)
    elif state == "stopped":
        if instance.state != "stopping":
            instances.begin_stop(instance, **why)
        instances.finish_stop(instance)
    elif state == "shutting-down":
        instances.begin_termination(instance, **why)
    elif state == "terminated":
        if instance.state != "shutting-down":
            instances.begin_termination(instance, **why)
        instances.finish_termination(instance)
    if instance.state in ("stopped", "shutting-down", "terminated"):
        groups.replace(backend, instance)
    return {"state": instance.state}


def _set_image_state(id_, asked):
    _, image = _find("image", id_, lambda backend, id_: backend.amis.get(id_))
    state, reason = asked.get("state"), asked.get("reason", "")
    if state not in ("available", "failed"):
        raise Refused("400 Bad Request", f"an image cannot be set to {state}: available or failed")
    if image.state not in ("pending", state):
        raise Refused("409 Conflict", f"{id_} is {image.state} and cannot become {state}", state=image.state)
    image.state = state
    image.state_reason = {"Code": "Server.InternalError", "Message": reason} if state == "failed" else None
    # An image is never available before its snapshots are complete.
    for snapshot in images.snapshots_of(image):
        if snapshot.status == "pending":
            snapshot.status = "completed" if state == "available" else "error"
    return {"state": image.state}


def _set_snapshot_state(id_, asked):
    _, snapshot = _find("snapshot", id_, lambda backend, id_: backend.snapshots.get(id_))
    state = asked.get("state")
    if state not in ("completed", "error"):
        raise Refused("400 Bad Request", f"a snapshot cannot be set to {state}: completed or error")
    if snapshot.status not in ("pending", state):
        raise Refused("409 Conflict", f"{id_} is {snapshot.status} and cannot become {state}", state=snapshot.status)
    snapshot.status = state
    return {"state": snapshot.status}


_SETTERS = {"instances": _set_instance_state, "images": _set_image_state, "snapshots": _set_snapshot_state}


def _credentials(asked):
    try:
        account, region = asked["account"], asked["region"]
        role_name, instance_id = asked["role_name"], asked["instance_id"]
    except KeyError as missing:
        raise Refused("400 Bad Request", f"the field {missing} is missing")
    partition = get_partition(region)
    role = sts_backends[account][partition].assume_role(
        region_name=region,
        role_session_name=instance_id,
        role_arn=f"arn:{partition}:iam::{account}:role/{role_name}",
        policy="",
        duration=CREDENTIALS_LIFETIME_S,
        external_id="",
    )
    return {
        "AccessKeyId": role.access_key_id,
        "SecretAccessKey": role.secret_access_key,
        "Token": role.session_token,
        "Expiration": role.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
