"""How many places a caller may hold: others always get some."""

from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.shares import Room, Shares, room


def held(shares: Shares, holder: str, tries: int = 10_000) -> int:
    return sum(shares.take(holder) for _ in range(tries))


def test_one_caller_gets_half_and_the_next_half_of_the_rest() -> None:
    shares = Shares(1_000)
    assert [held(shares, each) for each in "abc"] == [500, 250, 125]
    assert (shares.held, shares.of("b")) == (875, 250)


def test_each_gets_a_few_until_there_are_none() -> None:
    shares = Shares(50)
    assert [held(shares, each) for each in "abcd"] == [25, 16, 9, 0]
    shares.give_back("a")
    assert held(shares, "d") == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=200), st.integers(0, 60))
def test_there_are_never_more_than_the_most_and_what_is_given_back_is_free(
    steps: list[tuple[str, bool]], most: int
) -> None:
    shares, own = Shares(most), dict.fromkeys("abc", 0)
    for holder, taking in steps:
        if taking:
            own[holder] += shares.take(holder)
        elif own[holder]:
            shares.give_back(holder)
            own[holder] -= 1
        assert {each: shares.of(each) for each in own} == own
        assert shares.held == sum(own.values()) <= most
    for holder, number in own.items():
        for _ in range(number):
            shares.give_back(holder)
    assert shares.held == 0


def test_the_room_for_more_is_half_of_what_is_free_and_leaves_out_who_has_a_share() -> None:
    assert room([], most=9) == Room(5, frozenset())
    assert room(["ann"] * 4, most=9) == Room(3, frozenset())
    assert room({"ann": 5, "bob": 1}, most=9) == Room(2, frozenset({"ann"}))
    assert room(["ann"] * 9, most=9) == Room(0, frozenset({"ann"}))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=200), st.integers(0, 60))
def test_the_room_is_what_takers_find(steps: list[tuple[str, bool]], most: int) -> None:
    shares = Shares(most)
    for holder, taking in steps:
        if taking:
            left_out = room({each: shares.of(each) for each in "abc" if shares.of(each)}, most=most)
            assert shares.take(holder) == (left_out.limit > 0 and holder not in left_out.without)
        elif shares.of(holder):
            shares.give_back(holder)
