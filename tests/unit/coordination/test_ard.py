"""What a search and a filter say, and what is refused with the field's name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.coordination import ard, ard_filter
from lambdaagent.coordination.ard import BadSearchError
from lambdaagent.coordination.ard_filter import BadFilterError, EntryFilter
from lambdaagent.mcp.selection import Candidate, Match, Question

ENTRY = {
    "identifier": "urn:air:example.com:shop:echo",
    "displayName": "Echo",
    "type": "application/a2a-agent-card+json",
    "tags": ["pay", "talk"],
    "capabilities": ["say"],
}


def test_a_search_has_defaults() -> None:
    found = ard.read({"query": {"text": "pay"}})
    assert (found.federation, found.size, found.after, found.filter) == ("auto", 10, None, EntryFilter())


def test_a_larger_page_means_the_largest() -> None:
    assert ard.read({"query": {"text": "pay"}, "pageSize": 5_000}).size == 100


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "the body"),
        ({}, "query"),
        ({"query": "pay"}, "query"),
        ({"query": {}}, "query.text"),
        ({"query": {"text": " "}}, "query.text"),
        ({"query": {"text": 5}}, "query.text"),
        ({"query": {"text": "x", "limit": 1}}, "'limit'"),
        ({"query": {"text": "x"}, "limit": 1}, "'limit'"),
        ({"query": {"text": "x"}, "federation": "all"}, "federation"),
        ({"query": {"text": "x"}, "federation": []}, "federation"),
        ({"query": {"text": "x"}, "pageSize": 0}, "pageSize"),
        ({"query": {"text": "x"}, "pageSize": True}, "pageSize"),
        ({"query": {"text": "x"}, "pageSize": "5"}, "pageSize"),
        ({"query": {"text": "x"}, "pageToken": "!"}, "pageToken"),
        ({"query": {"text": "x"}, "pageToken": 5}, "pageToken"),
        ({"query": {"text": "x"}, "pageToken": "LTEvMC9hL2I"}, "pageToken"),
    ],
)
def test_a_bad_search_names_the_field(body: object, field: str) -> None:
    with pytest.raises(BadSearchError, match=field):
        ard.read(body)


@pytest.mark.parametrize(
    ("given_", "takes"),
    [
        ({}, True),
        ({"type": ENTRY["type"]}, True),
        ({"type": ["application/mcp-server-card+json", ENTRY["type"]]}, True),
        ({"type": ["application/mcp-server-card+json"]}, False),
        ({"tags": ["pay"], "capabilities": ["say"]}, True),
        ({"tags": ["pay"], "capabilities": ["sing"]}, False),
        ({"publisher": "example.com"}, True),
        ({"publisher": "example.org"}, False),
        ({"displayName": "ECHO"}, True),
        ({"identifier": ENTRY["identifier"]}, True),
    ],
)
def test_the_terms_of_a_filter(given_: Any, takes: bool) -> None:
    assert ard_filter.of_object(given_).takes(ENTRY) is takes


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        ("", True),
        ("type = 'application/a2a-agent-card+json'", True),
        ("type = 'a,application/a2a-agent-card+json' AND publisherId = example.com", True),
        ('displayName="echo" and tags=pay', True),
        ("tags=sing", False),
    ],
)
def test_the_expression_of_a_list(text: str, takes: bool) -> None:
    assert ard_filter.of_expression(text).takes(ENTRY) is takes


@pytest.mark.parametrize(
    "text",
    [
        "tags",
        "tags=",
        "= x",
        "tags = 'a' OR tags = 'b'",
        "tags=a AND tags=b",
        "createdAfter > '2026'",
        "x" * 9_000,
        "AND",
    ],
)
def test_a_bad_expression_is_refused(text: str) -> None:
    with pytest.raises(BadFilterError):
        ard_filter.of_expression(text)


@pytest.mark.parametrize(
    "given_", [[], "x", {"score": "5"}, {"tags": 5}, {"tags": []}, {"tags": [5]}, {"tags": ["x"] * 101}]
)
def test_a_bad_filter_is_refused(given_: object) -> None:
    with pytest.raises(BadFilterError):
        ard_filter.of_object(given_)


@given(st.text(max_size=200))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        ard_filter.of_expression(text)
    except BadFilterError as error:
        assert str(error)


WORDS = st.sampled_from(["pay", "invoice", "refund", "weather", "translate"])


@given(
    st.lists(WORDS, min_size=1, max_size=5),
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]), st.lists(WORDS, max_size=3))),
)
def test_scores_and_positions(asked: list[str], agents: list[tuple[str, str, list[str]]]) -> None:
    """A score is from 1 to 100, and the token of a match is the place where the next page begins."""
    question = Question(" ".join(asked))
    matches = [
        match
        for namespace, agent, tags in agents
        if (match := question.match(Candidate(namespace, agent, "s", tags=tuple(tags)))) is not None
    ]
    for match in matches:
        assert 1 <= ard.score(question, match) <= 100
        found = ard.read({"query": {"text": "x"}, "pageToken": ard.token(match)})
        assert found.after == ard.position(match)


def test_every_word_in_the_tags_is_the_whole_score() -> None:
    question = Question("refund invoices")
    match = question.match(Candidate("a", "b", "c", tags=("refund", "invoice")))
    assert isinstance(match, Match)
    assert ard.score(question, match) == 100
