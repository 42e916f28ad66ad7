"""Whoever has much to do leaves room for the others."""

from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.coordination.shares import share


def test_one_owner_has_a_half_and_leaves_the_other() -> None:
    assert share([], most=8) == share(["ann"] * 0, most=8)
    assert (share([], most=8).limit, share(["ann"] * 3, most=8).without) == (8, frozenset())
    found = share(["ann"] * 4, most=8)
    assert (found.limit, found.without) == (4, {"ann"})


def test_a_full_replica_takes_nothing() -> None:
    assert share([f"o{n}" for n in range(8)], most=8).limit == 0


@given(st.lists(st.sampled_from("abcdef"), max_size=60), st.integers(1, 40))
def test_whoever_comes_anew_finds_a_place_while_others_take_what_they_may(waiting: list[str], most: int) -> None:
    """Owners take places as long as they may, in any order, until nobody may."""
    taken: list[str] = []
    for owner in waiting:
        now = share(taken, most=most)
        if now.limit and owner not in now.without:
            taken.append(owner)
    assert len(taken) <= most
    if len(set(taken)) < min(most, 6):
        assert share(taken, most=most).limit > 0
