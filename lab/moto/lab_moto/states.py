"""Instance states and what may follow what."""

CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}

# What the control API may report for a host, and from which recorded states.
# A report that comes too late (a host that came up while its instance was being terminated) is refused, not obeyed.
REPORTABLE = {
    "running": ("pending", "running"),
    "stopping": ("pending", "running", "stopping"),
    "stopped": ("pending", "running", "stopping", "stopped"),
    "shutting-down": ("pending", "running", "stopping", "stopped", "shutting-down"),
    "terminated": tuple(CODES),
}


def enter(instance, name, code="", reason="", transition=""):
    """Record that `instance` is in state `name`; `code` and `reason` are what DescribeInstances shows for it."""
    instance._state.name = name
    instance._state.code = CODES[name]
    instance.state_reason.code = code
    instance.state_reason.message = reason
    instance._reason = transition
