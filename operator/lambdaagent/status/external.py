"""Decides what status says about an external agent, from its server's last answer. Pure.

What the server said before stays while it cannot be reached, so that a short failure removes no skill.
"""

from dataclasses import dataclass

from lambdaagent.a2a import external_card
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.external import External
from lambdaagent.children.base import Object
from lambdaagent.status.readiness import Readiness, condition

_KINDS = {"a2a": ("A2A", "serves its agent card"), "mcp": ("MCP", "lists its tools")}
_NOT_ASKED = "has not been asked yet; it is asked within seconds if the operator runs"


@dataclass(frozen=True, slots=True)
class ExternalServer:
    """A server as the operator asks it. Agents of a namespace that name the same one share its answer."""

    protocol: str
    external: External
    namespace: str

    def __hash__(self) -> int:
        return hash((self.protocol, self.external.url, self.namespace))


@dataclass(frozen=True, slots=True)
class ExternalAnswer:
    """`card` is what status keeps, if the server answered; else `reason` and `problem` say why it did not.

    `other_origin` is where the card wants requests to go, if they do not; `notes` say what of it is not used.
    """

    card: Object | None = None
    version: str = ""
    other_origin: str = ""
    notes: tuple[str, ...] = ()
    reason: str = ""
    problem: str = ""


def server(agent: LambdaAgent) -> ExternalServer | None:
    """Return the server that is the agent; None for an agent with pods."""
    a2a, external = agent.spec.a2a, agent.external
    return ExternalServer(a2a.protocol, external, agent.namespace) if a2a is not None and external is not None else None


def serving_ready(agent: LambdaAgent, answer: ExternalAnswer | None, *, previous: Object) -> Readiness:
    """Return ServingReady. Before the server has answered, the former condition stays: the operator begins anew
    whenever it starts."""
    title, does = _title(agent)
    if answer is None:
        return _before(agent, "ServingReady", previous) or Readiness("Unknown", "NotAsked", f"the {title} {_NOT_ASKED}")
    if answer.problem:
        return Readiness("False", answer.reason, f"{title}: {answer.problem}")
    return Readiness("True", "Ready", f"the {title} {does} ({answer.version})")


def card_accepted(agent: LambdaAgent, answer: ExternalAnswer | None, *, previous: Object) -> Readiness | None:
    """Return the condition CardAccepted, which informs and gates nothing: whether the server's agent card is followed
    and used as it is. None for an agent that is no external A2A server, and before a card is known."""
    asked = server(agent)
    if asked is None or asked.protocol != "a2a":
        return None
    if answer is None or answer.card is None:
        return _before(agent, "CardAccepted", previous)
    if answer.other_origin:
        message = (
            f"the agent card names {answer.other_origin}, which is not the origin of external.url, so requests go to "
            "external.url itself; correct the card, or external.url if the agent is there"
        )
        return Readiness("False", "OtherOrigin", "; ".join((message, *answer.notes)))
    if answer.notes:
        return Readiness("False", "PartlyUsed", f"not all of the agent card is used: {'; '.join(answer.notes)}")
    return Readiness("True", "Accepted", "")


def card(agent: LambdaAgent, answer: ExternalAnswer | None, *, previous: Object) -> Object | None:
    """Return what the server said last; None if nothing is known of it."""
    asked = server(agent)
    if answer is not None and answer.card is not None:
        return answer.card
    before: Object | None = (previous.get("a2aStatus") or {}).get("containerCard")
    if asked is None or before is None:
        return None
    known = before.get("revision", "").startswith(external_card.revision(asked.external, asked.protocol))
    return before if known else None


def _title(agent: LambdaAgent) -> tuple[str, str]:
    asked = server(agent)
    kind, does = _KINDS.get(asked.protocol if asked is not None else "", _KINDS["a2a"])
    return f"{kind} server {agent.external.url if agent.external is not None else ''}", does


def _before(agent: LambdaAgent, kind: str, previous: Object) -> Readiness | None:
    before = condition(previous, kind)
    if before is None or before.get("observedGeneration") != agent.metadata.generation:
        return None
    return Readiness(before["status"], before.get("reason", ""), before.get("message", ""))
