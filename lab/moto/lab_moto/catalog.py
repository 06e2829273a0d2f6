"""The images that exist before anybody makes one: Ubuntu 18.04 as Canonical publishes it, in every region."""

import hashlib
from datetime import datetime

from moto.core.utils import utcnow
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ssm.models import Parameter, ParameterDict

from .images import set_devices
from .patching import around

CANONICAL = "099720109477"
NAME = "ubuntu/images/hvm-ssd/ubuntu-bionic-18.04-amd64-server-{serial}"
ROOT_DEVICE = "/dev/sda1"
ROOT_SIZE_GIB = 8
# (serial, published, deprecated or None)
RELEASES = (
    ("20230516", datetime(2023, 5, 16, 18, 32, 11), "2025-05-16T18:32:11.000Z"),
    ("20230607", datetime(2023, 6, 7, 20, 14, 55), None),
)
CURRENT = RELEASES[-1][0]
PARAMETERS = "/aws/service/canonical/"
CURRENT_PARAMETER = PARAMETERS + "ubuntu/server/18.04/stable/{what}/amd64/hvm/ebs-gp2/ami-id"


def stable_id(prefix, region, serial):
    """The same id in every lab, and another one in every region."""
    return f"{prefix}-0{hashlib.sha256(f'{region}/{serial}'.encode()).hexdigest()[:16]}"


@around(AmiBackend, "_load_amis")
def load_amis(_moto, backend):
    for serial, published, deprecated in RELEASES:
        image_id = stable_id("ami", backend.region_name, serial)
        image = Ami(
            backend,
            image_id,
            name=NAME.format(serial=serial),
            description=f"Canonical, Ubuntu, 18.04 LTS, amd64 bionic image build on {published:%Y-%m-%d}",
            owner_id=CANONICAL,
            public=True,
            virtualization_type="hvm",
            architecture="x86_64",
            creation_date=published,
            root_device_name=ROOT_DEVICE,
        )
        image.deprecation_time = deprecated
        set_devices(image, [{"DeviceName": ROOT_DEVICE, "Ebs": _root_device(backend, image_id, serial, published)}])
        backend.amis[image_id] = image


def _root_device(backend, image_id, serial, published):
    volume = backend.create_volume(size=ROOT_SIZE_GIB, zone_name=f"{backend.region_name}a")
    snapshot = backend.create_snapshot(volume.id, f"Ubuntu 18.04 {serial}", CANONICAL, from_ami=image_id)
    backend.delete_volume(volume.id)
    del backend.snapshots[snapshot.id]
    snapshot.id = stable_id("snap", backend.region_name, serial)
    snapshot.start_time = published
    backend.snapshots[snapshot.id] = snapshot
    return {
        "SnapshotId": snapshot.id,
        "VolumeSize": ROOT_SIZE_GIB,
        "VolumeType": "gp2",
        "DeleteOnTermination": True,
        "Encrypted": False,
    }


@around(ParameterDict, "_check_loading_status")
def check_loading_status(moto, parameters, key):
    moto(parameters, key)
    if str(key or "").startswith(PARAMETERS) and not getattr(parameters, "lab_loaded", False):
        parameters.lab_loaded = True
        for serial, published, _ in RELEASES:
            _publish(parameters, serial, serial, published)
        _publish(parameters, "current", CURRENT, utcnow())


def _publish(parameters, what, serial, published):
    name = CURRENT_PARAMETER.format(what=what)
    parameters[name].append(
        Parameter(
            account_id=parameters.account_id,
            name=name,
            value=stable_id("ami", parameters.region_name, serial),
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=published,
            version=1,
            data_type="aws:ec2:image",
        )
    )
