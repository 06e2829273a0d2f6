"""Images: pending until the host's disk is frozen, with the devices, architecture and tags that AWS gives them."""

import re

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidAMIIdError,
    InvalidTaggableResourceType,
    MalformedAMIIdError,
)
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.utils import random_ami_id

from .patching import around
from .volumes import merge_mappings, root_volume

# Letters, digits and ()[] ./-'@_, 3 to 128 of them (CreateImage, API reference).
VALID_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
IMAGEABLE = ("pending", "running", "stopping", "stopped")


@around(Ami, "__init__")
def ami_init(moto, image, *args, **kwargs):
    image.lab_mappings = None
    image.lab_no_reboot = False
    image.deprecation_time = None
    image.state_reason = None
    moto(image, *args, **kwargs)
    image.root_device_type = "ebs"
    image.hypervisor = "xen"
    image.boot_mode = None
    image.ena_support = True
    image.sriov_net_support = "simple"
    image.platform_details = "Linux/UNIX"
    image.usage_operation = "RunInstances"
    image.image_location = f"{image.owner_id}/{image.name}"


_moto_mappings = Ami.block_device_mappings
Ami.block_device_mappings = property(
    lambda image: _moto_mappings.fget(image) if image.lab_mappings is None else image.lab_mappings
)


def set_devices(image, mappings):
    """Give `image` its block devices, and forget the volume and snapshot that moto made up for it."""
    image.ec2_backend.snapshots.pop(image.ebs_snapshot.id, None)
    image.lab_mappings = mappings
    root = root_snapshot_id(image)
    if root:
        image.ebs_snapshot = image.ec2_backend.get_snapshot(root)


def root_snapshot_id(image):
    """The snapshot of the image's root device."""
    for mapping in image.block_device_mappings:
        if mapping["DeviceName"] == image.root_device_name:
            return mapping["Ebs"].get("SnapshotId")
    return None


def snapshots_of(image):
    """The snapshots that the image's devices are made from."""
    ids = [mapping["Ebs"].get("SnapshotId") for mapping in image.block_device_mappings]
    return [image.ec2_backend.snapshots[id_] for id_ in ids if id_ in image.ec2_backend.snapshots]


def launchable_image(backend, image_id):
    """The image, if an instance can be launched from it now."""
    if not image_id:
        raise EC2ClientError("MissingParameter", "The request must contain the parameter ImageId")
    if not image_id.startswith("ami-"):
        raise MalformedAMIIdError([image_id])
    image = backend.amis.get(image_id)
    if image is None:
        raise InvalidAMIIdError(image_id)
    if image.state != "available":
        raise EC2ClientError(
            "InvalidAMIID.Unavailable",
            f"The image id '[{image_id}]' is not available: it is in state {image.state}",
        )
    return image


def _check_name(backend, name):
    if not VALID_NAME.fullmatch(name or ""):
        raise EC2ClientError(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "
            "'(', ')', '[', ']', ' ', '.', '/', '-', ''', '@' and '_'",
        )
    for image in backend.amis.values():
        if image.name == name and image.owner_id == backend.account_id:
            raise EC2ClientError(
                "InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}"
            )


def _tags(specifications, allowed):
    tags = {kind: {} for kind in allowed}
    for specification in specifications:
        kind = specification.get("ResourceType")
        if kind not in allowed:
            raise InvalidTaggableResourceType(kind)
        tags[kind].update({tag["Key"]: tag.get("Value", "") for tag in specification.get("Tags", [])})
    return tags


@around(AmisResponse, "create_image")
def create_image(_moto, response):
    backend = response.ec2_backend
    instance = backend.get_instance(response._get_param("InstanceId"))
    name = response._get_param("Name")
    tags = _tags(response._get_param("TagSpecifications", []), ("image", "snapshot"))
    _check_name(backend, name)
    if instance.state not in IMAGEABLE:
        raise EC2ClientError(
            "IncorrectState",
            f"The instance '{instance.id}' must be in a 'running', 'pending', 'stopping' or 'stopped' state "
            "for this operation.",
        )
    if root_volume(instance) is None:
        raise EC2ClientError("IncorrectState", f"The instance '{instance.id}' has no root volume.")
    response.error_on_dryrun()

    image_id = random_ami_id()
    image = Ami(
        backend,
        image_id,
        instance=instance,
        name=name,
        description=response._get_param("Description", ""),
        state="pending",
        root_device_name=instance.root_device_name,
    )
    image.lab_no_reboot = bool(response._get_param("NoReboot", False))
    source = backend.amis.get(instance.image_id)
    if source is not None:
        image.source_image_id = source.id
        image.source_image_region = backend.region_name
    frozen = [
        _freeze(backend, instance, image, device, attached, tags["snapshot"])
        for device, attached in instance.get_block_device_mapping
    ]
    wanted = merge_mappings(backend, frozen, response._get_param("BlockDeviceMappings", []))
    set_devices(image, [{"DeviceName": device, "Ebs": settings} for device, settings in wanted.items()])
    image.add_tags(tags["image"])
    backend.amis[image_id] = image
    return ActionResult({"ImageId": image_id})


def _freeze(backend, instance, image, device, attached, tags):
    volume = backend.get_volume(attached.volume_id)
    snapshot = backend.create_snapshot(
        volume.id, f"Created by CreateImage({instance.id}) for {image.id}", from_ami=image.id
    )
    snapshot.add_tags(tags)
    settings = {
        "SnapshotId": snapshot.id,
        "VolumeSize": int(volume.size),
        "VolumeType": volume.volume_type,
        "DeleteOnTermination": attached.delete_on_termination,
        "Encrypted": bool(volume.encrypted),
        "Iops": volume.iops,
        "Throughput": volume.throughput,
    }
    return {"DeviceName": device, "Ebs": {key: value for key, value in settings.items() if value is not None}}


@around(AmisResponse, "register_image")
def register_image(_moto, response):
    backend = response.ec2_backend
    name = response._get_param("Name")
    tags = _tags(response._get_param("TagSpecifications", []), ("image", "snapshot"))
    root_device = response._get_param("RootDeviceName", "/dev/sda1")
    mappings = merge_mappings(backend, [], response._get_param("BlockDeviceMappings", []))
    _check_name(backend, name)
    root = mappings.get(root_device, {}).get("SnapshotId")
    if not root:
        raise EC2ClientError(
            "InvalidBlockDeviceMapping", f"The root device {root_device} has no snapshot in the block device mappings."
        )
    for settings in mappings.values():
        snapshot_id = settings.get("SnapshotId")
        if snapshot_id and backend.get_snapshot(snapshot_id).status != "completed":
            raise EC2ClientError(
                "IncorrectState", f"The snapshot '{snapshot_id}' is not in the 'completed' state."
            )
    response.error_on_dryrun()
    image = Ami(
        backend,
        random_ami_id(),
        name=name,
        description=response._get_param("Description", ""),
        architecture=response._get_param("Architecture", "i386"),
        virtualization_type=response._get_param("VirtualizationType", "paravirtual"),
        root_device_name=root_device,
    )
    set_devices(image, [{"DeviceName": device, "Ebs": settings} for device, settings in mappings.items()])
    image.ena_support = bool(response._get_param("EnaSupport", False))
    image.boot_mode = response._get_param("BootMode")
    image.add_tags(tags["image"])
    backend.amis[image.id] = image
    return ActionResult({"ImageId": image.id})


@around(AmiBackend, "copy_image")
def copy_image(moto, backend, source_image_id, source_region, name=None, description=None):
    source_backend = ec2_backends[backend.account_id][source_region]
    source = launchable_image(source_backend, source_image_id)
    _check_name(backend, name)
    image = moto(backend, source_image_id, source_region, name, description)
    image.root_device_name = source.root_device_name
    mappings = []
    for mapping in source.block_device_mappings:
        settings = dict(mapping["Ebs"])
        if settings.get("SnapshotId"):
            snapshot = backend.copy_snapshot(
                settings["SnapshotId"], source_region, f"Copied for {image.id} from {source_image_id}", None
            )
            snapshot.from_ami = image.id
            settings["SnapshotId"] = snapshot.id
        mappings.append({"DeviceName": mapping["DeviceName"], "Ebs": settings})
    set_devices(image, mappings)
    image.state = "pending"
    return image


@around(Ami, "get_filter_value")
def get_filter_value(moto, image, filter_name, method_name=None):
    if filter_name == "block-device-mapping.snapshot-id":
        return [mapping["Ebs"].get("SnapshotId") for mapping in image.block_device_mappings]
    return moto(image, filter_name, method_name)


@around(AmisResponse, "describe_images")
def describe_images(moto, response):
    answer = moto(response)
    if not response._get_param("IncludeDeprecated", False):
        mine = response.ec2_backend.account_id
        answer.result["Images"] = [
            image
            for image in answer.result["Images"]
            if image.owner_id == mine or not is_deprecated(image)
        ]
    return answer


def is_deprecated(image):
    """Whether the image's deprecation time has passed."""
    now = f"{utcnow():%Y-%m-%dT%H:%M:%S.000Z}"
    return image.deprecation_time is not None and image.deprecation_time <= now
