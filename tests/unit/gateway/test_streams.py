"""How many streams a caller may open: others always get some."""

from collections import Counter
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.gateway.http.sse import Streams, TooManyStreamsError


def opened(streams: Streams, owner: str, stack: ExitStack) -> bool:
    try:
        stack.enter_context(streams.one(owner))
    except TooManyStreamsError:
        return False
    return True


async def test_one_caller_gets_half_and_the_next_half_of_the_rest() -> None:
    streams = Streams(most=1_000)
    found = Counter[str]()
    with ExitStack() as stack:
        for owner in ("a", "b", "c"):
            while opened(streams, owner, stack):
                found[owner] += 1
    assert found == {"a": 500, "b": 250, "c": 125}
    assert streams.open == 0


async def test_each_gets_a_few_until_there_are_none() -> None:
    streams = Streams(most=50)
    with ExitStack() as stack:
        counts = [sum(opened(streams, owner, stack) for _ in range(100)) for owner in "abcd"]
        assert counts == [25, 20, 5, 0]
        with pytest.raises(TooManyStreamsError, match="0 of them by this caller"), streams.one("e"):
            pass
    with streams.one("e"):
        assert streams.open == 1


@given(st.lists(st.sampled_from("abc"), max_size=80), st.integers(1, 60))
async def test_what_is_closed_is_free_again(owners: list[str], most: int) -> None:
    streams = Streams(most=most)
    for _ in range(2):
        with ExitStack() as stack:
            first = [opened(streams, owner, stack) for owner in owners]
            assert streams.open == sum(first) <= most
        assert streams.open == 0
