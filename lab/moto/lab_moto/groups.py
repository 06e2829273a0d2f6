"""Auto Scaling groups: a member is in service once it runs, and is replaced if it goes down by itself."""

from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState, autoscaling_backends

from .patching import around


def _lifecycle(member):
    pending = member.lab_lifecycle == "InService" and member.instance.state == "pending"
    return "Pending" if pending else member.lab_lifecycle


def _set_lifecycle(member, state):
    member.lab_lifecycle = state


InstanceState.lifecycle_state = property(_lifecycle, _set_lifecycle)


@around(FakeAutoScalingGroup, "active_instances")
def active_instances(_moto, group):
    # What moto counts when one goes: those on their way into service belong to the desired capacity too.
    return [member for member in group.instance_states if member.lab_lifecycle == "InService"]


def replace(backend, instance):
    """If `instance`, which went down by itself, is a member of a group: do what its EC2 health check does on AWS."""
    groups = autoscaling_backends[backend.account_id][backend.region_name]
    members = {member.instance.id for group in groups.autoscaling_groups.values() for member in group.instance_states}
    if instance.id not in members:
        return
    if instance.state == "stopped":
        instance.terminate()
    groups.notify_terminate_instances([instance.id])
