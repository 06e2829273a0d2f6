"""All that the lab has to know about instances, images and snapshots, as one JSON document."""

from moto.iam.models import iam_backends

from . import images, volumes
from .network import every_backend


def document():
    """The records of every account and region."""
    instances, all_images, snapshots = [], [], []
    for account, region, backend in every_backend():
        place = {"account": account, "region": region}
        for reservation in backend.reservations.values():
            for instance in reservation.instances:
                instances.append({**place, **instance_record(backend, reservation, instance)})
        all_images += [{**place, **image_record(image)} for image in backend.amis.values()]
        snapshots += [{**place, **snapshot_record(snapshot)} for snapshot in backend.snapshots.values()]
    return {"instances": instances, "images": all_images, "snapshots": snapshots}


def instance_record(backend, reservation, instance):
    nic = instance.nics.get(0)
    vpc_id = instance.vpc_id
    vpc = backend.vpcs.get(vpc_id)
    key = backend.key_pairs.get(instance.key_name) if instance.key_name else None
    profile_arn, role_name = instance_profile(backend, instance)
    options = instance.metadata_options
    return {
        "id": instance.id,
        "state": instance.state,
        "image_id": instance.image_id,
        "root_snapshot_id": volumes.root_snapshot_id(instance),
        "instance_type": instance.instance_type,
        "private_ip": instance.private_ip,
        "subnet_id": instance.subnet_id,
        "vpc_id": vpc_id,
        "vpc_cidr": vpc.cidr_block if vpc else None,
        "mac": nic.mac_address if nic else None,
        "availability_zone": instance.availability_zone,
        "user_data_base64": None if instance.user_data is None else str(instance.user_data),
        "http_tokens": options.http_tokens or "optional",
        "http_endpoint": options.http_endpoint or "enabled",
        "http_hop_limit": int(options.http_put_response_hop_limit or 1),
        "instance_metadata_tags": options.instance_metadata_tags or "disabled",
        "tags": dict(backend.tags.get(instance.id, {})),
        "instance_profile_arn": profile_arn,
        "role_name": role_name,
        "shutdown_behavior": instance.instance_initiated_shutdown_behavior,
        "security_groups": [group.name for group in instance.security_groups],
        "security_group_ids": [group.id for group in instance.security_groups],
        "reservation_id": reservation.id,
        "launch_time": instance.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ami_launch_index": int(instance.ami_launch_index),
        "private_dns_name": instance.private_dns_name,
        "key_name": instance.key_name,
        "public_key": key.public_key.strip() if key else None,
        "reboot_seq": instance.lab_reboot_seq,
    }


def instance_profile(backend, instance):
    """(ARN of the instance profile, name of its role), either None."""
    profile = instance.iam_instance_profile
    if not profile:
        return None, None
    for known in iam_backends[backend.account_id][backend.partition].get_instance_profiles():
        if known.arn == profile["Arn"]:
            return known.arn, known.roles[0].name if known.roles else None
    return profile["Arn"], None


def image_record(image):
    return {
        "id": image.id,
        "name": image.name or "",
        "owner_id": image.owner_id,
        "state": image.state,
        "root_snapshot_id": images.root_snapshot_id(image),
        "source_instance_id": image.instance_id,
        "no_reboot": image.lab_no_reboot,
    }


def snapshot_record(snapshot):
    return {
        "id": snapshot.id,
        "state": snapshot.status,
        "volume_id": snapshot.volume.id,
        "instance_id": snapshot.lab_instance_id,
        "image_id": snapshot.from_ami,
        "source_snapshot_id": snapshot.lab_source_snapshot_id,
    }
