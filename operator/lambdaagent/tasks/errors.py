"""Why the engine refuses work for now, and how the refusal of a container is said to a client."""

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.errors import TemporaryError
from lambdaagent.httpclient.errors import RefusedMessageError


class EngineBusyError(TemporaryError):
    """As many tasks are under way as this process may hold."""


class EngineStoppedError(TemporaryError):
    """The engine is stopping, or has not started."""


# What is wrong with the message or its moment: the container has done nothing with it.
_REFUSALS = frozenset(
    problem.value.code
    for problem in (
        Problem.INVALID_PARAMS,
        Problem.UNSUPPORTED_OPERATION,
        Problem.CONTENT_TYPE,
        Problem.EXTENSION_REQUIRED,
    )
)


def is_refusal(error: RefusedMessageError) -> bool:
    """Whether the container took no notice of the message, so that its task is as before."""
    return error.code in _REFUSALS


def refusal(error: RefusedMessageError, *, otherwise: Problem = Problem.INTERNAL) -> A2AError:
    """The container's error in its own words; `otherwise`: where the protocol does not know its code."""
    problem = next((each for each in Problem if each.value.code == error.code), otherwise)
    return A2AError(problem, str(error) or None)
