"""Classifies refusals of the API server as temporary (may pass) or permanent (somebody must change something).

The class follows from the cause and not only from the status. A server-side apply of a field that the schema does not
know is answered with 500 although it always fails; an unavailable webhook is a 500 that may pass. Messages name the
object, the cause and the next step. They are written to conditions, so they contain no times and no tokens.
"""

import json
from dataclasses import dataclass
from typing import Any

from lambdaagent.errors import LambdaAgentError, PermanentError, TemporaryError, words


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server's refusal, or why the server could not be reached (status 0)."""

    status: int
    reason: str
    message: str
    causes: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, status: int, body: bytes) -> "Refusal":
        """Parse a `Status` object. Other bodies, as from proxies and old webhooks, are kept as text."""
        try:
            answer: Any = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            return cls(status, "", body.decode(errors="replace").strip()[:500] or f"HTTP {status}")
        causes = (answer.get("details") or {}).get("causes") or []
        return cls(
            status,
            str(answer.get("reason") or ""),
            str(answer.get("message") or f"HTTP {status}"),
            frozenset(str(cause.get("reason")) for cause in causes),
        )


class ApiError(LambdaAgentError):
    """Base class of all refusals; `reason` is machine-readable and suitable for a condition."""

    def __init__(self, message: str, *, reason: str, status: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class TemporaryApiError(ApiError, TemporaryError):
    pass


class ConflictError(TemporaryApiError):
    """Another writer changed the object in between, or it exists already: read it and decide again."""


class ExpiredError(TemporaryApiError):
    """410: the version to continue from is no longer available; list again."""


class UnavailableError(TemporaryApiError):
    """No response: the connection was refused, reset or timed out."""


class PermanentApiError(ApiError, PermanentError):
    pass


class ForbiddenError(PermanentApiError):
    pass


class TerminatingError(ForbiddenError):
    """The namespace is being deleted and accepts no new objects; its objects are deleted as well."""


class NotFoundError(PermanentApiError):
    pass


_UNKNOWN_FIELD = "failed to create typed patch object"
_TEMPORARY = {408, 425, 429}
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    413: "RequestEntityTooLarge",
    422: "Invalid",
    429: "TooManyRequests",
}
_NEXT_STEPS = {
    400: "Correct what the message names.",
    401: "Check the credentials of the kubeconfig or of the service account.",
    403: "Grant this right to the service account, or see which policy or quota forbids it.",
    404: "Install what serves this kind, or create the object or its namespace first.",
    413: "Make the object smaller.",
    422: "Correct the field that the message names.",
}


def error(refusal: Refusal, *, action: str, target: str) -> ApiError:
    """Return the error for a refusal. `action` is a verb such as 'apply'; `target` names kind, namespace and name."""
    status, cause = refusal.status, refusal.message.strip().rstrip(".")
    text = f"cannot {action} {target}: {cause}."
    if status == 0:
        return UnavailableError(
            f"{text} It is tried again; check that the API server can be reached.",
            reason=refusal.reason or "ApiServerUnavailable",
            status=status,
        )
    if _UNKNOWN_FIELD in cause:
        return PermanentApiError(
            f"{text} The schema of this kind in the cluster has no such field: compare its version with what this "
            f"release needs.",
            reason="UnknownField",
            status=status,
        )
    if status == 409:
        return ConflictError(f"{text} It is read and tried again.", reason=refusal.reason or "Conflict", status=status)
    if status == 410:
        return ExpiredError(text, reason="Expired", status=status)
    if status >= 500 or status in _TEMPORARY:
        webhook = "webhook" in cause
        step = "Check that this webhook's pods run; it is tried again." if webhook else "It is tried again."
        reason = "WebhookUnavailable" if webhook else refusal.reason or _REASONS.get(status, "ApiServerError")
        return TemporaryApiError(f"{text} {step}", reason=reason, status=status)
    step = _NEXT_STEPS.get(status, "Correct what the message names.")
    kind = {403: ForbiddenError, 404: NotFoundError}.get(status, PermanentApiError)
    if status == 403 and "NamespaceTerminating" in refusal.causes:
        kind = TerminatingError
    return kind(f"{text} {step}", reason=refusal.reason or _REASONS.get(status, "Refused"), status=status)


def unreachable(problem: BaseException, *, action: str, target: str) -> ApiError:
    """Return the error for a connection error or timeout of the transport."""
    timed_out = isinstance(problem, TimeoutError)
    cause = "the API server did not answer in time" if timed_out else words(problem)
    return error(Refusal(0, "Timeout" if timed_out else "", cause), action=action, target=target)
