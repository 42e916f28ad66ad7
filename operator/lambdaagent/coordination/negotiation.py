"""What a client and an agent agree on: a pure function over the agent's card (1.0) and the client's proposal.

A proposal may say `protocol` (such as `a2a/1.0`, or `a2a` for any version), `binding`, `inputModes`, `outputModes` and
`streaming`; each but the last is a text or a list of texts, the preferred one first. What it leaves out, the card
decides.

Invariants: what is agreed is offered by the card, and was proposed if the proposal has the field; who proposes what was
agreed gets it again, and nothing is rejected. If a field has no value in common, there is no agreement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lambdaagent.a2a import Json, modes
from lambdaagent.a2a.errors import Violation, invalid

_FAMILY = "a2a"
_TEXTS = ("protocol", "binding", "inputModes", "outputModes")
_FIELDS = (*_TEXTS, "streaming")
_MOST_FIELDS, _MOST_VALUES, _LONGEST = 32, 64, 256


@dataclass(frozen=True, slots=True)
class Offer:
    protocol: str
    binding: str
    url: str


@dataclass(frozen=True, slots=True)
class Proposal:
    values: Mapping[str, Sequence[str]]  # of the fields with texts that the client has named
    streaming: bool | None
    unknown: Sequence[str]  # names of fields that nobody can agree on


@dataclass(frozen=True, slots=True)
class Rejection:
    field: str
    reason: str


def offers(card: Json) -> list[Offer]:
    """Return the ways to call the agent, in the card's order."""
    return [
        Offer(f"{_FAMILY}/{each['protocolVersion']}", each["protocolBinding"], each["url"])
        for each in card["supportedInterfaces"]
    ]


def read(params: Json) -> Proposal:
    """Read the parameters of `agent.negotiate`. Raises A2AError, which names the fields."""
    given = params.get("proposal", {})
    if not isinstance(given, dict):
        raise invalid(Violation("proposal", "must be an object"))
    if len(given) > _MOST_FIELDS or any(len(name) > _LONGEST for name in given):
        raise invalid(Violation("proposal", f"may have {_MOST_FIELDS} fields with names of {_LONGEST} characters"))
    streaming = given.get("streaming")
    if streaming is not None and not isinstance(streaming, bool):
        raise invalid(Violation("proposal.streaming", "must be true or false"))
    values = {name: _texts(name, given[name]) for name in _TEXTS if given.get(name) is not None}
    return Proposal(values, streaming, sorted(given.keys() - set(_FIELDS)))


def _texts(name: str, given: object) -> tuple[str, ...]:
    values = given if isinstance(given, list) else [given]
    texts = [each for each in values if isinstance(each, str) and len(each) <= _LONGEST]
    if not 0 < len(texts) == len(values) <= _MOST_VALUES:
        wrong = f"must be a text, or a list of 1 to {_MOST_VALUES}, of at most {_LONGEST} characters"
        raise invalid(Violation(f"proposal.{name}", wrong))
    return tuple(dict.fromkeys(map(modes.as_media_type, texts) if name.endswith("Modes") else texts))


def negotiate(card: Json, proposal: Proposal) -> Json:
    """Return `agreed`, which is None without an agreement, and `rejected`, in the order of the fields."""
    rejected: list[Rejection] = []
    offer = _offer(offers(card), proposal.values, rejected)
    agreed_modes = {
        field: _modes(field, proposal.values.get(field), card[offered], rejected)
        for field, offered in (("inputModes", "defaultInputModes"), ("outputModes", "defaultOutputModes"))
    }
    streams = bool(card["capabilities"].get("streaming"))
    if proposal.streaming and not streams:
        rejected.append(Rejection("streaming", "the agent does not stream its answers"))
    rejected += [Rejection(name, f"only {', '.join(_FIELDS)} can be agreed on") for name in proposal.unknown]
    agreed: Json | None = None
    if offer is not None and all(each or field not in proposal.values for field, each in agreed_modes.items()):
        agreed = {"protocol": offer.protocol, "binding": offer.binding, "url": offer.url, **agreed_modes}
        agreed["streaming"] = streams and proposal.streaming is not False
    return {"agreed": agreed, "rejected": [{"field": each.field, "reason": each.reason} for each in rejected]}


def _offer(offered: Sequence[Offer], values: Mapping[str, Sequence[str]], rejected: list[Rejection]) -> Offer | None:
    """Return the offer that the client prefers, first by its protocols and then by its bindings."""
    protocols, bindings = values.get("protocol", ()), values.get("binding", ())
    names = [each.protocol for each in offered]
    _reject("protocol", [each for each in protocols if not any(_is(each, name) for name in names)], names, rejected)
    kinds = [each.binding for each in offered]
    _reject("binding", [each for each in bindings if each not in kinds], kinds, rejected)
    for protocol in protocols or names:
        for binding in bindings or kinds:
            for each in offered:
                if _is(protocol, each.protocol) and binding == each.binding:
                    return each
    if not rejected:
        rejected.append(Rejection("binding", "no proposed binding is offered for a proposed protocol"))
    return None


def _is(proposed: str, protocol: str) -> bool:
    return proposed in (protocol, _FAMILY)


def _modes(field: str, proposed: Sequence[str] | None, offered: Sequence[str], rejected: list[Rejection]) -> list[str]:
    if proposed is None:
        return list(offered)
    _reject(field, [each for each in proposed if each not in offered], offered, rejected)
    return [each for each in proposed if each in offered]


def _reject(field: str, refused: Sequence[str], offered: Sequence[str], rejected: list[Rejection]) -> None:
    known = ", ".join(dict.fromkeys(offered))
    rejected += [Rejection(field, f"{each!r} is not offered; offered: {known}") for each in refused]
