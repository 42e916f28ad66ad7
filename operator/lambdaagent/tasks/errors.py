"""Why the engine refuses work for now, and how the refusal of a container is said to a client."""

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.agents.errors import RefusedMessageError
from lambdaagent.errors import TemporaryError


class EngineBusyError(TemporaryError):
    """As many tasks are under way as this process may hold."""


class EngineStoppedError(TemporaryError):
    """The engine is stopping, or has not started."""


def refusal(error: RefusedMessageError, *, otherwise: Problem = Problem.INVALID_PARAMS) -> A2AError:
    """The container's error as the client gets it; `otherwise`: where the protocol does not know its code."""
    problem = next((each for each in Problem if each.value.code == error.code), otherwise)
    return A2AError(problem, f"The agent refuses: {error}")
