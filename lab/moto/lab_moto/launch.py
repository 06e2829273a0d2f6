"""RunInstances: what every launch goes through, whoever asked for it (a client, an Auto Scaling group, a fleet)."""

import copy
import json

import moto.ec2.responses.instances as instance_responses
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidKeyPairNameError
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.responses.instances import InstanceResponse
from moto.iam.exceptions import NotFoundException

from .images import launchable_image
from .instances import finish_termination
from .patching import around
from .volumes import attach_volumes, merge_mappings


@around(instance_responses, "filter_iam_instance_profiles")
def filter_iam_instance_profiles(moto, account_id, partition, iam_instance_profile_arn, iam_instance_profile_name):
    try:
        return moto(account_id, partition, iam_instance_profile_arn, iam_instance_profile_name)
    except NotFoundException:
        kind = "arn" if iam_instance_profile_arn else "name"
        value = iam_instance_profile_arn or iam_instance_profile_name
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({value}) for parameter iamInstanceProfile.{kind} is invalid. "
            f"Invalid IAM Instance Profile {kind if kind == 'name' else 'ARN'}",
        )


@around(InstanceResponse, "run_instances")
def run_instances_request(moto, response):
    token = response._get_param("ClientToken")
    backend = response.ec2_backend
    tokens = backend.__dict__.setdefault("lab_client_tokens", {})
    asked = {key: value for key, value in response._get_params().items() if key != "ClientToken"}
    fingerprint = json.dumps(asked, sort_keys=True, default=str)
    if token and token in tokens:
        known_fingerprint, reservation = tokens[token]
        if known_fingerprint != fingerprint:
            raise EC2ClientError(
                "IdempotentParameterMismatch",
                "The request uses the same client token as a previous, but non-identical request. "
                "Do not reuse a client token with different requests, unless the requests are identical.",
            )
        return ActionResult(reservation)
    # moto launches MinCount; AWS launches MaxCount where it can, and the lab can.
    response.params["MinCount"] = response._get_param("MaxCount", response._get_param("MinCount", 1))
    answer = moto(response)
    reservation = answer.result
    # moto gives the instance profile to the first instance only.
    profile = response._get_param("IamInstanceProfile", {})
    for instance in reservation.instances[1:] if profile else []:
        backend.associate_iam_instance_profile(
            instance_id=instance.id,
            iam_instance_profile_name=profile.get("Name"),
            iam_instance_profile_arn=profile.get("Arn"),
        )
    if token:
        tokens[token] = (fingerprint, reservation)
    return answer


@around(InstanceBackend, "run_instances")
def run_instances(moto, backend, image_id, count, user_data, security_group_names, **kwargs):
    template = {}
    if kwargs.get("launch_template"):
        template = backend._get_template_from_args(kwargs["launch_template"]).data
        _inherit(kwargs, template)
    image = launchable_image(backend, image_id or template.get("ImageId"))
    if kwargs.get("key_name") and kwargs["key_name"] not in backend.key_pairs:
        raise InvalidKeyPairNameError(kwargs["key_name"])
    mappings = merge_mappings(backend, image.block_device_mappings, _requested_mappings(kwargs, template))
    _choose_subnet(backend, kwargs)
    volume_tags = (kwargs.get("tags") or {}).get("volume", {})

    # Volumes are attached here: with an empty list moto makes none of its own.
    kwargs["block_device_mappings"] = []
    reservation = moto(backend, image_id, count, user_data, security_group_names, **kwargs)
    try:
        for instance in reservation.instances:
            _complete_network(backend, instance, kwargs.get("nics") or [])
            attach_volumes(backend, instance, mappings, volume_tags)
            if profile := template.get("IamInstanceProfile"):
                backend.associate_iam_instance_profile(
                    instance_id=instance.id,
                    iam_instance_profile_name=profile.get("Name"),
                    iam_instance_profile_arn=profile.get("Arn"),
                )
    except Exception:
        for instance in reservation.instances:
            finish_termination(instance)
        del backend.reservations[reservation.id]
        raise
    return reservation


def _inherit(kwargs, template):
    """Settings of a launch template that moto does not take over from it."""
    for ours, theirs in (
        ("metadata_options", "MetadataOptions"),
        ("instance_initiated_shutdown_behavior", "InstanceInitiatedShutdownBehavior"),
        ("nics", "NetworkInterfaces"),
    ):
        if not kwargs.get(ours) and template.get(theirs):
            kwargs[ours] = copy.deepcopy(template[theirs])


def _requested_mappings(kwargs, template):
    if kwargs.get("block_device_mappings"):
        return kwargs["block_device_mappings"]
    if template.get("BlockDeviceMappings"):
        return template["BlockDeviceMappings"]
    if kwargs.get("launch_config"):
        return kwargs["launch_config"].block_device_mapping_dict
    return []


def _choose_subnet(backend, kwargs):
    """Name the default subnet when no other was asked for: moto would fall back to addresses of EC2-Classic."""
    nics = kwargs["nics"] = copy.deepcopy(kwargs.get("nics") or [])
    primary = next((nic for nic in nics if int(nic.get("DeviceIndex") or 0) == 0), None)
    for nic in nics:
        nic.setdefault("DeviceIndex", 0)
        nic["DeleteOnTermination"] = nic.get("DeleteOnTermination", True)
    if kwargs.get("subnet_id") or (primary and (primary.get("SubnetId") or primary.get("NetworkInterfaceId"))):
        return
    subnets = backend.get_default_subnets()
    zone = kwargs.get("placement") or min(subnets, default=None)
    if zone not in subnets:
        raise EC2ClientError(
            "VPCIdNotSpecified" if backend.get_default_vpc() is None else "MissingInput",
            "No default VPC for this user."
            if backend.get_default_vpc() is None
            else f"No default subnet for availability zone: '{zone}'.",
        )
    if primary:
        primary["SubnetId"] = subnets[zone].id
    else:
        kwargs["subnet_id"] = subnets[zone].id


def _complete_network(backend, instance, asked_nics):
    for index, nic in instance.nics.items():
        if not any(int(asked["DeviceIndex"]) == index for asked in asked_nics):
            nic.delete_on_termination = True
    if not instance.security_groups and 0 in instance.nics:
        # Without a group in the request it is the one of the interface, or the default group of the VPC.
        instance.security_groups = list(instance.nics[0].group_set)
    for group in instance.security_groups:
        if group.vpc_id != instance.vpc_id:
            raise EC2ClientError(
                "InvalidParameter",
                f"Security group {group.id} and subnet {instance.subnet_id} belong to different networks.",
            )
