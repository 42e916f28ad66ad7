"""When an error is caught, and how long to wait before a task is tried again. Pure."""

from collections.abc import Mapping
from typing import Any

from lambdaagent.coordination.workflow_errors import WorkflowError
from lambdaagent.coordination.workflow_fields import LONGEST, seconds


def matches(catch: Mapping[str, Any], error: WorkflowError) -> bool:
    """Return whether the error is one of those that `catch.errors.with` describes, which may be all."""
    wanted = catch.get("errors", {}).get("with", {})
    known = error.as_json()
    return all(known.get(name) == value for name, value in wanted.items())


def retries(policy: Mapping[str, Any], *, attempt: int, begun: float, now: float) -> bool:
    """Return whether an attempt may follow. `attempt` counts the failed ones; `begun` is when the first one began."""
    limit = policy["limit"]
    longest = seconds(limit.get("duration"))
    return attempt <= limit["attempt"]["count"] and (longest is None or now - begun < longest)


def delay(policy: Mapping[str, Any], *, attempt: int, chance: float) -> float:
    """Return the seconds before the next attempt. `chance`, from 0 to 1, is where in the range of the jitter it is."""
    first = seconds(policy.get("delay")) or 0.0
    kind = next(iter(policy.get("backoff", {"constant": {}})))
    factor = {"constant": 1.0, "linear": float(attempt), "exponential": 2.0 ** min(30, attempt - 1)}[kind]
    jitter = policy.get("jitter")
    least, most = (seconds(jitter["from"]) or 0.0, seconds(jitter["to"]) or 0.0) if jitter else (0.0, 0.0)
    return min(LONGEST, first * factor + least + max(0.0, most - least) * chance)
