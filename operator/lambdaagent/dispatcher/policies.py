"""The text of an agent's condition about events that RabbitMQ dead-letters by itself. Pure.

Counts are rounded down to 1, 2 and 5 times a power of ten: many events then change a condition a few times and not
every few seconds, and replicas whose counts differ slightly report the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lambdaagent.broker.protocol import Deaths
from lambdaagent.children.topology import Topology
from lambdaagent.clock import rfc3339
from lambdaagent.events.dead_letter_headers import BY_RABBITMQ, OWN_EXPIRATION

_BY_POLICY = (
    "see rabbitmqctl list_policies and list_operator_policies, change what applies to {queue}, then: "
    "lambdaagent events dlq redrive --all -n {namespace} --agent {name}"
)


@dataclass(frozen=True, slots=True)
class PolicyReport:
    least: int
    since: float  # seconds since the epoch


Recent = Mapping[tuple[str, str], PolicyReport]
"""By queue and reason."""


def recent(deaths: Mapping[tuple[str, str], Deaths], *, since: float) -> Recent:
    """Return the deaths whose latest is at or after `since`."""
    return {key: PolicyReport(_rounded(found.count), found.since) for key, found in deaths.items() if found.at >= since}


def said(topology: Topology, *, namespace: str, name: str, told: Recent) -> str:
    """Return the text about the topology's queue; empty if none of its events were dead-lettered."""
    of_it = {reason: told[topology.queue, reason] for _, reason in sorted(told) if (topology.queue, reason) in told}
    if not of_it:
        return ""
    causes = " and ".join(_cause(reason, each) for reason, each in of_it.items())
    where = f"they are in {topology.dead_letters}"
    if of_it.keys() <= {OWN_EXPIRATION}:
        return f"RabbitMQ dead-lettered {causes}; {where}"
    step = _BY_POLICY.format(queue=topology.queue, namespace=namespace, name=name)
    return f"RabbitMQ dead-lettered {causes}; {where}; {step}"


def _cause(reason: str, told: PolicyReport) -> str:
    key = BY_RABBITMQ.get(reason)
    why = f"because of a policy's {key}" if key else "because of the expiration that their publisher set"
    events = "1 event" if told.least == 1 else f"{told.least} events"
    return f"at least {events} since {rfc3339(told.since)}, before all attempts were made ({why})"


def _rounded(count: int) -> int:
    digit, power = count, 1
    while digit >= 10:
        digit, power = digit // 10, power * 10
    return next((step for step in (5, 2, 1) if step <= digit), 0) * power
