"""A card may be any JSON: it is refused or kept within the API's limits, and it leads to no other origin."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.a2a import external_card
from lambdaagent.a2a.external_card import CardProblemError, checked
from lambdaagent.api.container_card import ContainerCard
from lambdaagent.api.external import External

URL = "https://agents.example.com/quotes"
_NAMES = [
    *("name", "description", "version", "url", "preferredTransport", "protocolVersion", "skills", "id", "tags"),
    *("examples", "supportedInterfaces", "protocolBinding", "additionalInterfaces", "transport", "capabilities"),
    *("streaming", "extensions", "uri", "params"),
]
_WORDS = st.sampled_from(["JSONRPC", "1.0", "0.3.0", URL, "https://elsewhere.example.com/", "//[", "", "\ud7ff"])
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), _WORDS, st.text(max_size=20))
_JSON = st.recursive(
    _LEAVES,
    lambda each: st.lists(each, max_size=5) | st.dictionaries(st.sampled_from(_NAMES), each, max_size=8),
    max_leaves=40,
)


@given(_JSON, st.lists(st.fixed_dictionaries({"url": _JSON, "protocolBinding": st.just("JSONRPC")}), max_size=3))
def test_any_json_is_refused_or_kept_within_limits(card: Any, interfaces: list[Any]) -> None:
    if isinstance(card, dict):
        card = {**card, "supportedInterfaces": interfaces}
    try:
        found = checked(card, External(url=URL))
    except CardProblemError:
        return
    kept = ContainerCard.model_validate(found.kept)
    assert kept.endpoint is not None
    assert external_card.same_origin(kept.endpoint.url, URL)
    assert len(found.notes) <= 5
    assert all(len(note) < 300 for note in found.notes)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://agents.example.com:443/rpc", True),
        ("HTTPS://AGENTS.example.com/rpc", True),
        ("http://agents.example.com/rpc", False),
        ("https://agents.example.com:8443/rpc", False),
        ("https://agents.example.com@elsewhere.example.com/", False),
        ("https://agents.example.com.elsewhere.example.com/", False),
        ("https://user:password@agents.example.com/", False),
        ("//agents.example.com/", False),
        ("", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, same: bool) -> None:
    assert external_card.same_origin(url, URL) is same
