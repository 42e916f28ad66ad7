"""The rules of votes, against their definition for every outcome of small electorates, and by properties."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.coordination.bodies import BadBodyError, read
from lambdaagent.coordination.proposal import ABSTAIN, NewProposal, Proposal, taken, tally, verdict

RULES = ["majority", "plurality", "unanimous", "quorum"]


def proposal(electors: int, rule: str, *, quorum: int = 0, options: tuple[str, ...] = ("yes", "no")) -> Proposal:
    return Proposal(
        proposal_id="p", proposer="a", title="t", description="", data={}, options=options,
        electorate=[f"e{n}" for n in range(electors)], rule=rule, quorum=quorum,
        deadline=1.0, close_when_all_voted=True,
    )  # fmt: skip


def by_definition(rule: str, electors: int, quorum: int, votes: list[str | None]) -> bool:
    """Returns whether yes is taken, as a person would count it."""
    cast = [each for each in votes if each is not None]
    yes, no = cast.count("yes"), cast.count("no")
    match rule:
        case "majority":
            return yes > electors / 2
        case "unanimous":
            return yes == electors
        case "plurality":
            return yes > no
    return len(cast) >= quorum and yes > no


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("electors", [1, 2, 3, 4])
def test_every_outcome_of_a_small_electorate_is_as_defined(rule: str, electors: int) -> None:
    for quorum in range(1, electors + 1) if rule == "quorum" else [0]:
        asked = proposal(electors, rule, quorum=quorum)
        for choices in product(["yes", "no", ABSTAIN, None], repeat=electors):
            votes = {f"e{n}": choice for n, choice in enumerate(choices) if choice is not None}
            wanted = by_definition(rule, electors, quorum, list(choices))
            for at_deadline in (False, True):
                status, _ = verdict(asked, votes, at_deadline=at_deadline)
                assert (status == "accepted") == wanted, (rule, quorum, choices)
                assert status != "expired" or (at_deadline and len(votes) < electors)


@given(st.sampled_from(RULES), st.integers(1, 1000), st.data())
def test_a_tie_is_never_accepted_and_no_vote_counts_twice(rule: str, electors: int, data: Any) -> None:
    half = data.draw(st.integers(0, electors // 2))
    votes = {f"e{n}": "yes" if n < half else "no" for n in range(2 * half)}
    asked = proposal(electors, rule, quorum=min(1, electors))
    assert taken(asked, votes) is None
    assert verdict(asked, votes, at_deadline=False)[0] == "rejected"
    assert sum(tally(asked, votes).values()) == len(votes)


@given(st.lists(st.sampled_from(["a", "b", "c", ABSTAIN]), min_size=1, max_size=1000), st.sampled_from(RULES))
def test_the_order_of_votes_does_not_matter(choices: list[str], rule: str) -> None:
    asked = proposal(len(choices), rule, quorum=1, options=("a", "b", "c"))
    votes = {f"e{n}": choice for n, choice in enumerate(choices)}
    backwards = dict(reversed(votes.items()))
    assert verdict(asked, votes, at_deadline=True) == verdict(asked, backwards, at_deadline=True)


@pytest.mark.parametrize(
    ("rule", "votes", "status"),
    [
        ("majority", {}, "expired"),
        ("majority", {"e0": "no", "e1": "no"}, "rejected"),
        ("majority", {"e0": "no"}, "expired"),
        ("unanimous", {"e0": "yes", "e1": "yes"}, "expired"),
        ("unanimous", {"e0": ABSTAIN}, "rejected"),
        ("plurality", {}, "expired"),
        ("plurality", {"e0": "yes", "e1": "no"}, "rejected"),
        ("quorum", {"e0": "yes"}, "expired"),
        ("quorum", {"e0": "yes", "e1": "no"}, "rejected"),
    ],
)
def test_at_its_deadline_a_proposal_is_expired_if_the_missing_votes_could_have_accepted_it(
    rule: str, votes: dict[str, str], status: str
) -> None:
    assert verdict(proposal(3, rule, quorum=2), votes, at_deadline=True)[0] == status


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"electorate": []}, "electorate: "),
        ({"electorate": [f"e{n}" for n in range(1001)]}, "electorate: "),
        ({"electorate": ["a", "a"]}, "twice"),
        ({"options": ["yes"]}, "options: "),
        ({"options": ["yes", "abstain"]}, "abstain is always one"),
        ({"options": ["x", "x"]}, "must differ"),
        ({"quorum": 1}, "needs the rule quorum"),
        ({"rule": "quorum", "quorum": 3}, "cannot be reached by 2 electors"),
        ({"rule": "dictator"}, "rule: "),
        ({"deadlineSeconds": 0}, "deadline"),
    ],
)
def test_what_no_rule_could_decide_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(BadBodyError, match=said):
        read(NewProposal, {"from": "a", "title": "t", "electorate": ["a", "b"]} | more)
