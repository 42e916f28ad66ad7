"""What the package uses of kopf undocumented. `tests/unit/controller/test_kopf_private.py` fails if it changes."""

from kopf._core.engines.peering import Identity


def identity(name: str) -> Identity:
    """Return the identity of an operator. Without one, kopf looks up the name of the user, who may have none."""
    return Identity(name)
