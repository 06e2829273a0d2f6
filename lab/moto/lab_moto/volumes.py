"""Block devices: what an image says, what a launch changes about it, and snapshots that take their time."""

from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotInUse, MissingParameterError
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import EBSBackend, Snapshot
from moto.ec2.responses.instances import InstanceResponse

from .patching import around

EBS_KEYS = (
    "SnapshotId",
    "VolumeSize",
    "VolumeType",
    "Iops",
    "Throughput",
    "Encrypted",
    "KmsKeyId",
    "DeleteOnTermination",
)


@around(InstanceResponse, "_parse_block_device_mapping")
def parse_block_device_mapping(_moto, response):
    # moto fills what was not asked for with defaults of its own, so that the image's could not be told apart.
    return response._get_param("BlockDeviceMappings", [])


def merge_mappings(backend, inherited, requested):
    """The image's devices with the request's changes: {device: Ebs settings}, all settings that matter present."""
    merged = {mapping["DeviceName"]: dict(mapping["Ebs"]) for mapping in inherited if "Ebs" in mapping}
    for mapping in requested or []:
        device = mapping["DeviceName"]
        if mapping.get("NoDevice") is not None:
            merged.pop(device, None)
            continue
        if mapping.get("VirtualName"):
            continue
        asked = {key: mapping.get("Ebs", {}).get(key) for key in EBS_KEYS}
        settings = merged.setdefault(device, {"DeleteOnTermination": False, "VolumeType": "gp2"})
        if asked["VolumeType"] and asked["VolumeType"] != settings.get("VolumeType"):
            settings.pop("Iops", None)
            settings.pop("Throughput", None)
        settings.update({key: value for key, value in asked.items() if value is not None})
        if not settings.get("SnapshotId") and not settings.get("VolumeSize"):
            raise MissingParameterError("size or snapshotId")
    for device, settings in merged.items():
        _check_size(backend, device, settings)
    return merged


def _check_size(backend, device, settings):
    snapshot_id = settings.get("SnapshotId")
    if not snapshot_id:
        return
    snapshot = backend.get_snapshot(snapshot_id)
    size = int(settings.get("VolumeSize") or snapshot.volume_size)
    if size < int(snapshot.volume_size):
        raise EC2ClientError(
            "InvalidBlockDeviceMapping",
            f"Volume of size {size}GB is smaller than snapshot '{snapshot_id}', "
            f"expect size >= {snapshot.volume_size}GB",
        )
    settings["VolumeSize"] = size


def attach_volumes(backend, instance, mappings, tags):
    """Make and attach one volume for each of `mappings`."""
    for device, settings in mappings.items():
        volume = backend.create_volume(
            size=settings["VolumeSize"],
            zone_name=instance.availability_zone,
            snapshot_id=settings.get("SnapshotId"),
            encrypted=bool(settings.get("Encrypted")),
            kms_key_id=settings.get("KmsKeyId"),
            volume_type=settings.get("VolumeType"),
            iops=settings.get("Iops"),
            throughput=settings.get("Throughput"),
        )
        volume.add_tags(tags)
        backend.attach_volume(volume.id, instance.id, device, bool(settings.get("DeleteOnTermination")))


def root_volume(instance):
    """The instance's root volume, or None if it has been detached or deleted."""
    device = instance.block_device_mapping.get(instance.root_device_name)
    return instance.ec2_backend.volumes.get(device.volume_id) if device else None


def root_snapshot_id(instance):
    """The snapshot that the root volume was made from: what the host boots."""
    volume = root_volume(instance)
    return volume.snapshot_id if volume else None


Snapshot.progress = property(lambda snapshot: "100%" if snapshot.status == "completed" else "0%")


@around(Snapshot, "__init__")
def snapshot_init(moto, snapshot, *args, **kwargs):
    snapshot.lab_instance_id = None
    snapshot.lab_source_snapshot_id = None
    moto(snapshot, *args, **kwargs)


@around(EBSBackend, "create_snapshot")
def create_snapshot(moto, backend, volume_id, *args, **kwargs):
    snapshot = moto(backend, volume_id, *args, **kwargs)
    attachment = snapshot.volume.attachment
    # Only a root volume has content in the lab, so only its snapshot has something to wait for.
    if attachment and attachment.device == attachment.instance.root_device_name:
        snapshot.lab_instance_id = attachment.instance.id
        snapshot.status = "pending"
    return snapshot


@around(EBSBackend, "copy_snapshot")
def copy_snapshot(moto, backend, source_snapshot_id, source_region, *args, **kwargs):
    source = ec2_backends[backend.account_id][source_region].get_snapshot(source_snapshot_id)
    if source.status != "completed":
        raise EC2ClientError("IncorrectState", f"The snapshot '{source_snapshot_id}' is not in the 'completed' state.")
    snapshot = moto(backend, source_snapshot_id, source_region, *args, **kwargs)
    snapshot.lab_source_snapshot_id = source_snapshot_id
    snapshot.status = "pending"
    return snapshot


@around(EBSBackend, "delete_snapshot")
def delete_snapshot(moto, backend, snapshot_id):
    for image in list(backend.amis.values()):
        if any(mapping["Ebs"].get("SnapshotId") == snapshot_id for mapping in image.block_device_mappings):
            raise InvalidSnapshotInUse(snapshot_id, image.id)
    return moto(backend, snapshot_id)
