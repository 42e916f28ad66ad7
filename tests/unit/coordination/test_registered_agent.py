"""The names of registered agents in paths: each id has one, and no two the same."""

import re

from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.access import principal
from lambdaagent.coordination import registration
from lambdaagent.coordination.registered_agent import capability_names, label_of

IDS = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,80}[A-Za-z0-9])?", fullmatch=True)


@given(IDS, IDS)
def test_two_ids_never_share_a_name(one: str, other: str) -> None:
    assert re.fullmatch(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", label_of(one))
    assert (label_of(one) == label_of(other)) == (one == other)
    assert label_of(label_of(one)) != label_of(one) or label_of(one) == one


def test_capabilities_of_every_form_have_names() -> None:
    assert capability_names(["search", {"name": "say"}, {"x": 1}, 5]) == {"search", "say"}
    assert capability_names({"methods": ["query"], "features": [{"name": "x"}], "streaming": True, "off": False}) == {
        "query",
        "x",
        "streaming",
    }
    assert capability_names(None) == frozenset()


def test_no_agent_has_a_name_that_callers_without_a_source_have() -> None:
    assert registration.RESERVED >= principal.RESERVED
