"""Why the engine refuses work for now."""

from lambdaagent.errors import TemporaryError


class EngineBusyError(TemporaryError):
    """As many tasks are under way as this process may hold."""


class EngineStoppedError(TemporaryError):
    """The engine is stopping, or has not started."""
