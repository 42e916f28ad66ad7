"""What is agreed is offered and proposed, whatever the card and the proposal, and every value is accounted for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.a2a import modes
from lambdaagent.a2a.errors import A2AError
from lambdaagent.coordination import negotiation
from lambdaagent.coordination.negotiation import negotiate, offers, read

PROTOCOLS, BINDINGS = ["1.0", "0.3"], ["JSONRPC", "HTTP+JSON", "GRPC"]
MODES = ["text/plain", "application/json", "image/png"]
CARDS = st.builds(
    lambda interfaces, inputs, outputs, streams: {
        "supportedInterfaces": [
            {"url": f"https://x/{index}", "protocolBinding": binding, "protocolVersion": version}
            for index, (version, binding) in enumerate(interfaces)
        ],
        "defaultInputModes": inputs,
        "defaultOutputModes": outputs,
        "capabilities": {"streaming": streams},
    },
    st.lists(st.tuples(st.sampled_from(PROTOCOLS), st.sampled_from(BINDINGS)), min_size=1, unique=True),
    st.lists(st.sampled_from(MODES), min_size=1, unique=True),
    st.lists(st.sampled_from(MODES), min_size=1, unique=True),
    st.booleans(),
)


def several(values: list[str]) -> st.SearchStrategy[Any]:
    some = st.lists(st.sampled_from(values), min_size=1, max_size=4)
    return st.none() | st.sampled_from(values) | some


PROPOSALS = st.fixed_dictionaries(
    {},
    optional={
        "protocol": several(["a2a", "a2a/1.0", "a2a/0.3", "mcp/2026-07-28"]),
        "binding": several([*BINDINGS, "SMOKE"]),
        "inputModes": several([*MODES, "text", "json", "video/mp4"]),
        "outputModes": several([*MODES, "text", "video/mp4"]),
        "streaming": st.none() | st.booleans(),
        "price": st.integers(),
    },
)
CARD: Any = {
    "supportedInterfaces": [
        {"url": "https://x/one", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
        {"url": "https://x/one", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"},
        {"url": "https://x/old", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
    ],
    "defaultInputModes": ["text/plain", "application/json"],
    "defaultOutputModes": ["text/plain"],
    "capabilities": {"streaming": False},
}


def listed(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]


@given(CARDS, PROPOSALS)
def test_what_is_agreed_is_offered_and_proposed(card: Any, proposal: Any) -> None:
    agreed = negotiate(card, read({"proposal": proposal}))["agreed"]
    if agreed is None:
        return
    assert (agreed["protocol"], agreed["binding"], agreed["url"]) in [
        (each.protocol, each.binding, each.url) for each in offers(card)
    ]
    for field, offered in (("inputModes", "defaultInputModes"), ("outputModes", "defaultOutputModes")):
        assert agreed[field]
        assert set(agreed[field]) <= set(card[offered])
        if asked := listed(proposal.get(field)):
            assert set(agreed[field]) <= set(map(modes.as_media_type, asked))
    if asked := listed(proposal.get("protocol")):
        assert {agreed["protocol"], "a2a"} & set(asked)
    if asked := listed(proposal.get("binding")):
        assert agreed["binding"] in asked
    assert agreed["streaming"] <= card["capabilities"]["streaming"]
    assert not (agreed["streaming"] and proposal.get("streaming") is False)


@given(CARDS, PROPOSALS)
def test_who_proposes_what_was_agreed_gets_it(card: Any, proposal: Any) -> None:
    agreed = negotiate(card, read({"proposal": proposal}))["agreed"]
    if agreed is not None:
        again = {name: value for name, value in agreed.items() if name != "url"}
        assert negotiate(card, read({"proposal": again})) == {"agreed": agreed, "rejected": []}


@given(CARDS, PROPOSALS)
def test_every_mode_is_agreed_or_rejected_and_no_agreement_has_a_reason(card: Any, proposal: Any) -> None:
    found = negotiate(card, read({"proposal": proposal}))
    assert found == negotiate(card, read({"proposal": proposal}))
    assert all(each["reason"] for each in found["rejected"])
    if found["agreed"] is None:
        assert {each["field"] for each in found["rejected"]} & {"protocol", "binding", "inputModes", "outputModes"}
        return
    for field in ("inputModes", "outputModes"):
        asked = dict.fromkeys(map(modes.as_media_type, listed(proposal.get(field))))
        refused = [each for each in found["rejected"] if each["field"] == field]
        if asked:
            assert len(found["agreed"][field]) + len(refused) == len(asked)
        else:
            assert refused == []


@given(CARDS)
def test_without_a_proposal_the_card_decides(card: Any) -> None:
    found = negotiate(card, read({}))
    first = offers(card)[0]
    assert found["rejected"] == []
    assert (found["agreed"]["protocol"], found["agreed"]["url"]) == (first.protocol, first.url)
    assert found["agreed"]["inputModes"] == card["defaultInputModes"]


def test_the_client_s_preference_counts() -> None:
    found = negotiate(CARD, read({"proposal": {"protocol": ["a2a/0.3", "a2a/1.0"], "binding": ["GRPC", "JSONRPC"]}}))
    assert found["agreed"]["url"] == "https://x/old"
    assert found["rejected"] == [{"field": "binding", "reason": "'GRPC' is not offered; offered: JSONRPC, HTTP+JSON"}]


def test_what_is_offered_but_not_together_is_no_agreement() -> None:
    found = negotiate(CARD, read({"proposal": {"protocol": "a2a/0.3", "binding": "HTTP+JSON"}}))
    assert found["agreed"] is None
    assert [each["field"] for each in found["rejected"]] == ["binding"]


def test_what_nobody_can_agree_on_is_rejected_and_the_rest_agreed() -> None:
    found = negotiate(CARD, read({"proposal": {"streaming": True, "price": 5, "outputModes": "text"}}))
    assert found["agreed"]["streaming"] is False
    assert found["agreed"]["outputModes"] == ["text/plain"]
    assert [each["field"] for each in found["rejected"]] == ["streaming", "price"]


@pytest.mark.parametrize(
    ("proposal", "field"),
    [
        ([], "proposal"),
        ("x", "proposal"),
        (None, "proposal"),
        ({str(number): 1 for number in range(33)}, "proposal"),
        ({"x" * 257: 1}, "proposal"),
        ({"protocol": 5}, "proposal.protocol"),
        ({"protocol": []}, "proposal.protocol"),
        ({"binding": ["x" * 257]}, "proposal.binding"),
        ({"inputModes": ["x"] * 65}, "proposal.inputModes"),
        ({"outputModes": [None]}, "proposal.outputModes"),
        ({"streaming": "yes"}, "proposal.streaming"),
    ],
)
def test_what_is_no_proposal_is_refused_by_its_field(proposal: object, field: str) -> None:
    with pytest.raises(A2AError) as caught:
        negotiation.read({"proposal": proposal})
    assert [each.field for each in caught.value.violations] == [field]
