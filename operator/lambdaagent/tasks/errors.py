"""Errors by which the engine refuses work for now, and the form in which a client gets a container's refusal."""

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.errors import TemporaryError
from lambdaagent.httpclient.errors import RefusedMessageError


class EngineBusyError(TemporaryError):
    """The limit of tasks under way in this process, or with one agent, is reached."""


class EngineStoppedError(TemporaryError):
    """The engine is stopping, or has not started."""


# Errors in the message or its timing: the container has not acted on the message.
_REFUSALS = frozenset(
    problem.value.code
    for problem in (
        Problem.INVALID_PARAMS,
        Problem.UNSUPPORTED_OPERATION,
        Problem.CONTENT_TYPE,
        Problem.EXTENSION_REQUIRED,
    )
)


# A container's -32000 has any meaning: the protocol defines none.
_DEFINED = tuple(problem for problem in Problem if problem is not Problem.PERMISSION_DENIED)


def is_refusal(error: RefusedMessageError) -> bool:
    """Whether the container did not act on the message, so that its task is unchanged."""
    return error.code in _REFUSALS


def refusal(error: RefusedMessageError, *, otherwise: Problem = Problem.INTERNAL) -> A2AError:
    """Return the container's error with its text; `otherwise` replaces a code that the protocol does not define."""
    problem = next((each for each in _DEFINED if each.value.code == error.code), otherwise)
    return A2AError(problem, str(error) or None)
