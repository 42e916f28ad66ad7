"""The error tree of the package: one place, so that each edge maps it once.

A temporary error may pass by itself (retry it), a permanent one needs a person (report it). The controller maps
the two to kopf, the gateway maps them to problem documents and protocol errors. Messages name the thing, the cause
and the next step, and never hold a secret: they end up in status, events and answers.
"""


class LambdaAgentError(Exception):
    """Anything that this package raises on purpose."""


class TemporaryError(LambdaAgentError):
    """Worth trying again unchanged."""


class PermanentError(LambdaAgentError):
    """Will fail again until somebody changes something."""


class UsageError(PermanentError):
    """The command line or the configuration asks for something that cannot be done; exit code 2."""
