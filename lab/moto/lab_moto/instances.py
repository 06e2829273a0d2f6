"""Instances: their states wait for a host, and the errors are those of AWS.

moto completes every transition at once. Here a request only begins one (`pending`, `stopping`, `shutting-down`);
the control API completes it when the host has done so.
"""

import base64
import copy

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.instances import InstanceResponse

from .patching import around
from .states import CODES, enter

# The recorded state is the true one: moto's answer must not pretend another.
EC2BaseResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.pop("RunInstances.Reservation.Instances.Instance.State")


@around(Instance, "__init__")
def instance_init(moto, instance, *args, **kwargs):
    instance.lab_reboot_seq = 0
    moto(instance, *args, **kwargs)
    enter(instance, "pending")


def _first_nic(name):
    # A terminated instance has no network interface, and moto's own properties then raise KeyError.
    def read(instance):
        nic = instance.nics.get(0)
        return getattr(nic, name) if nic else None

    return property(read)


Instance.private_ip = _first_nic("private_ip_address")
Instance.private_ip_address = _first_nic("private_ip_address")
Instance.public_ip = _first_nic("public_ip")
Instance.public_ip_address = _first_nic("public_ip")

_moto_private_dns_name = Instance.private_dns_name
Instance.private_dns_name = property(
    lambda instance: _moto_private_dns_name.fget(instance) if instance.private_ip else ""
)


USER_INITIATED = "Client.UserInitiatedShutdown"


def _leave(instance, state, code, reason):
    by_request = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)" if code == USER_INITIATED else ""
    enter(instance, state, code, f"{code}: {reason}", by_request)


@around(Instance, "start")
def start(_moto, instance):
    previous = copy.copy(instance._state)
    if instance.state == "stopped":
        for nic in instance.nics.values():
            nic.start()
        enter(instance, "pending")
        instance.launch_time = utcnow()
    return previous


@around(Instance, "stop")
def stop(_moto, instance):
    previous = copy.copy(instance._state)
    if instance.state == "running":
        begin_stop(instance)
    return previous


def begin_stop(instance, code=USER_INITIATED, reason="User initiated shutdown"):
    """`stopping`, with the reason that DescribeInstances shows."""
    _leave(instance, "stopping", code, reason)


def finish_stop(instance):
    """`stopped`: what moto does when an instance stops."""
    for nic in instance.nics.values():
        nic.stop()
    state, reason = instance.state_reason, instance._reason
    enter(instance, "stopped", state.code, state.message, reason)


_moto_terminate = Instance.terminate


@around(Instance, "terminate")
def terminate(_moto, instance):
    previous = copy.copy(instance._state)
    if instance.state not in ("shutting-down", "terminated"):
        begin_termination(instance)
    return previous


def begin_termination(instance, code=USER_INITIATED, reason="User initiated shutdown"):
    """`shutting-down`, with the reason that DescribeInstances shows."""
    _leave(instance, "shutting-down", code, reason)


def finish_termination(instance):
    """`terminated`: volumes, network interfaces and addresses go; the record stays, as AWS keeps it for a while."""
    code, message, transition = instance.state_reason.code, instance.state_reason.message, instance._reason
    _moto_terminate(instance)
    for nic in list(instance.nics.values()):
        if nic.id in instance.ec2_backend.enis:
            instance.detach_eni(nic)
    subnet = instance.ec2_backend.get_subnet(instance.subnet_id) if instance.subnet_id else None
    for address in instance._private_ips:
        if subnet:
            subnet.del_subnet_ip(address)
    instance._private_ips = set()
    instance._subnet_id = None
    instance.nics = {}
    instance.security_groups = []
    enter(instance, "terminated", code, message, transition)


@around(Instance, "reboot")
def reboot(_moto, instance):
    instance.lab_reboot_seq += 1


def _refuse(instances, allowed, done):
    for instance in instances:
        if instance.state not in allowed:
            raise EC2ClientError(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can be {done}.",
            )


@around(InstanceBackend, "start_instances")
def start_instances(moto, backend, instance_ids):
    instances = backend.get_multi_instances_by_id(instance_ids)
    _refuse(instances, ("pending", "running", "stopped"), "started")
    return moto(backend, instance_ids)


@around(InstanceBackend, "stop_instances")
def stop_instances(moto, backend, instance_ids):
    instances = backend.get_multi_instances_by_id(instance_ids)
    _refuse(instances, ("running", "stopping", "stopped"), "stopped")
    return moto(backend, instance_ids)


@around(InstanceBackend, "reboot_instances")
def reboot_instances(moto, backend, instance_ids):
    instances = backend.get_multi_instances_by_id(instance_ids)
    _refuse(instances, ("running",), "rebooted")
    return moto(backend, instance_ids)


def _with_true_states(operation, key):
    @around(InstanceResponse, operation)
    def respond(moto, response):
        answer = moto(response)
        for change in answer.result[key]:
            instance = response.ec2_backend.get_instance(change["InstanceId"])
            change["CurrentState"] = {"Code": CODES[instance.state], "Name": instance.state}
        return answer

    return respond


_with_true_states("start_instances", "StartingInstances")
_with_true_states("stop_instances", "StoppingInstances")
_with_true_states("terminate_instances", "TerminatingInstances")


@around(InstanceResponse, "modify_instance_attribute")
def modify_instance_attribute(moto, response):
    instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
    behaviour = response._get_param("InstanceInitiatedShutdownBehavior.Value")
    if response._get_param("Attribute") == "instanceInitiatedShutdownBehavior":
        behaviour = response._get_param("Value")
    if behaviour is not None:
        if behaviour not in ("stop", "terminate"):
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Value ({behaviour}) for parameter value is invalid. Valid values: stop, terminate.",
            )
        response.error_on_dryrun()
        instance.instance_initiated_shutdown_behavior = behaviour
        return ActionResult({})
    for attribute in ("UserData", "InstanceType", "Kernel", "Ramdisk"):
        if response._get_param(f"{attribute}.Value") is not None and instance.state != "stopped":
            raise EC2ClientError(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in the 'stopped' state.",
            )
    user_data = response._get_param("UserData.Value")
    if isinstance(user_data, bytes):
        # The parser has decoded it already, and moto would decode it once more.
        response.error_on_dryrun()
        instance.user_data = Base64EncodedString(base64.b64encode(user_data).decode())
        return ActionResult({})
    return moto(response)


@around(InstanceBackend, "modify_instance_metadata_options")
def modify_instance_metadata_options(moto, backend, instance_id, **changes):
    # moto forgets what the request leaves out.
    options = backend.get_instance(instance_id).metadata_options
    for change, kept in (
        ("http_tokens", options.http_tokens),
        ("hop_limit", options.http_put_response_hop_limit),
        ("http_endpoint", options.http_endpoint),
        ("http_protocol", options.http_protocol_ipv6),
        ("metadata_tags", options.instance_metadata_tags),
    ):
        if changes.get(change) is None:
            changes[change] = kept
    return moto(backend, instance_id, **changes)
