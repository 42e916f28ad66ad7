"""The choice of a skill: the same whatever the order of the candidates; what fits equally well is named."""

import random
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.mcp import selection
from lambdaagent.mcp.selection import Candidate, Criterion, Match, Question, Type

WORDS = st.sampled_from(["price", "prices", "quote", "weather", "translate", "text", "a", ""])
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        namespace=st.sampled_from(["bank", "shop"]),
        agent=st.sampled_from(["one", "two", "price"]),
        skill=st.sampled_from(["price", "quote", "say"]),
        name=WORDS,
        description=st.lists(WORDS, max_size=4).map(" ".join),
        tags=st.lists(WORDS, max_size=3).map(tuple),
        ready=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda each: (each.namespace, each.agent, each.skill),
)


def chosen(criterion: Criterion, candidates: list[Candidate]) -> list[Match]:
    return criterion.ranked(match for each in candidates if (match := criterion.match(each)) is not None)


def by_text(candidates: list[Candidate], query: str) -> list[Match]:
    return chosen(Question(query), candidates)


def by_type(candidates: list[Candidate], type_: str) -> list[Match]:
    return chosen(Type(type_), candidates)


def skill(agent: str = "one", id_: str = "say", **more: Any) -> Candidate:
    return Candidate("shop", agent, id_, **more)


@given(CANDIDATES, st.lists(WORDS, max_size=5).map(" ".join), st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_makes_no_difference(
    candidates: list[Candidate], query: str, order: random.Random
) -> None:
    other = list(candidates)
    order.shuffle(other)
    assert by_text(candidates, query) == by_text(other, query)
    for type_ in ("price", "weather"):
        found, again = by_type(candidates, type_), by_type(other, type_)
        assert found == again
        if found:
            running = {("shop", "one"): 1}
            assert selection.least_busy(found, running) == selection.least_busy(again[::-1], running)


@given(CANDIDATES, st.lists(WORDS, max_size=5).map(" ".join))
def test_the_best_are_all_that_fit_as_well_and_no_others(candidates: list[Candidate], query: str) -> None:
    matches = by_text(candidates, query)
    best = selection.best(matches)
    assert bool(best) == bool(matches)
    assert all((each in best) == (each.score == matches[0].score) for each in matches)


@given(CANDIDATES, st.sampled_from(["price", "say", "weather"]))
def test_what_can_be_called_is_chosen_before_what_cannot(candidates: list[Candidate], type_: str) -> None:
    found = by_type(candidates, type_)
    if found:
        some_ready = any(each.candidate.ready for each in found)
        assert found[0].candidate.ready == some_ready
        assert selection.least_busy(found, {}).candidate == found[0].candidate


def test_an_id_counts_before_a_tag() -> None:
    found = by_type([skill("one", tags=("price",)), skill("two", "price")], "price")
    assert [each.candidate.agent for each in found] == ["two"]
    (tagged,) = by_type([skill(tags=("Price",))], "price")
    assert "has the tag 'price'" in tagged.why


def test_a_tag_weighs_more_than_a_description() -> None:
    one, two = skill("one", tags=("weather",)), skill("two", description="the weather of the prices, and a price list")
    found = by_text([two, one], "What is the weather like, and the prices?")
    assert [each.candidate.agent for each in found] == ["one"]
    assert found[0].why == "words of the question in its tags: weather"


def test_few_words_of_a_description_are_no_match() -> None:
    assert by_text([skill(description="tells the weather")], "the weather") == []


def test_the_least_busy_is_chosen() -> None:
    found = by_type([skill("one"), skill("two"), skill("off", ready=False)], "say")
    assert selection.least_busy(found, {("shop", "one"): 2, ("shop", "two"): 1}).candidate.agent == "two"
    assert selection.least_busy(found, {}).candidate.agent == "one"


def test_a_match_costs_a_bounded_time_whatever_the_texts() -> None:
    candidate = skill(
        description="weather " * 512, examples=("rain " * 800,) * 64, tags=tuple(f"{n}" * 60 for n in range(64))
    )
    begun = time.perf_counter()
    question = Question("weather rain " * 80_000)
    assert time.perf_counter() - begun < 0.05
    for _ in range(50):
        question.match(candidate)
    assert time.perf_counter() - begun < 0.5
