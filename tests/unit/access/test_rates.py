import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.access.rates import Buckets, Rate


def test_a_burst_passes_and_then_the_rate() -> None:
    buckets, rate = Buckets(), Rate(per_minute=60, burst=3)
    assert [buckets.take("a", rate, now=100.0) for _ in range(5)] == [0, 0, 0, 1.0, 1.0]
    assert buckets.take("b", rate, now=100.0) == 0
    assert buckets.take("a", rate, now=101.0) == 0
    assert buckets.take("a", rate, now=101.5) == 0.5
    assert [buckets.take("a", rate, now=1000.0) for _ in range(4)] == [0, 0, 0, 1.0]


@given(st.integers(1, 600), st.integers(1, 50), st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=200))
def test_never_more_than_the_burst_and_the_rate(per_minute: int, burst: int, pauses: list[float]) -> None:
    buckets, rate, now, passed = Buckets(), Rate(per_minute, burst), 0.0, 0
    for pause in pauses:
        now += pause
        passed += buckets.take("a", rate, now=now) == 0
    assert passed <= burst + now * per_minute / 60 + 1e-6


def test_memory_is_bounded_and_the_busiest_are_remembered() -> None:
    buckets, rate = Buckets(), Rate(per_minute=1, burst=2)
    for _ in range(2):
        buckets.take("busy", rate, now=0.0)
    for number in range(120_000):
        buckets.take(number, rate, now=1.0)
    assert len(buckets._full_at) <= 50_000
    assert buckets.take("busy", rate, now=2.0) > 0


def test_a_full_memory_is_tidied_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that come as fast as others expire must not each cost a look at all of them."""
    buckets, rate = Buckets(), Rate(per_minute=1, burst=1)
    tidied: list[float] = []
    forget = Buckets._forget

    def noted(self: Buckets, now: float) -> None:
        tidied.append(now)
        forget(self, now)

    monkeypatch.setattr(Buckets, "_forget", noted)
    for number in range(60_000):
        buckets.count(number, rate, now=number * 0.00121)
    assert len(tidied) <= 2


def test_of_a_share_burst_and_pace_are_divided() -> None:
    rate = Rate(per_minute=60, burst=6)
    for parts, burst in ((1, 6), (2, 3), (3, 2), (6, 1), (10, 1)):
        buckets = Buckets(parts=parts)
        assert sum(buckets.take("a", rate, now=0.0) == 0 for _ in range(20)) == burst
        assert buckets.take("a", rate, now=parts - 0.1) > 0
        assert buckets.take("a", rate, now=float(parts)) == 0


@given(
    st.integers(1, 600),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=150),
)
def test_replicas_that_tell_one_another_admit_no_more_than_the_rate_and_a_burst_each(
    per_minute: int, burst: int, seconds: list[tuple[int, int]]
) -> None:
    """In each second, one of three replicas gets some requests; at its end all tell what was used."""
    rate, replicas, shared, now, admitted = Rate(per_minute, burst), [Buckets(told=True) for _ in range(3)], 0.0, 0.0, 0
    for which, requests in seconds:
        now += 1.0
        admitted += sum(replicas[which].take("k", rate, now=now) == 0 for _ in range(requests))
        for buckets in replicas:
            for _, used in buckets.drain(most=10):
                shared = max(shared, now) + used
        for buckets in replicas:
            buckets.learn("k", shared)
    # The bucket of all never holds more than three bursts that nobody knew of.
    assert admitted <= 3 * burst + now * per_minute / 60 + 1e-6


def test_what_was_used_is_told_once_and_the_most_used_first() -> None:
    buckets, rate = Buckets(told=True), Rate(per_minute=60, burst=10)
    for key, times in (("a", 1), ("b", 3), ("c", 2)):
        for _ in range(times):
            buckets.take(key, rate, now=0.0)
    assert buckets.drain(most=2) == [("b", 3.0), ("c", 2.0)]
    assert buckets.drain(most=2) == [("a", 1.0)]
    assert buckets.drain(most=2) == []
    for number in range(30_000):
        buckets.take(number, rate, now=0.0)
    assert len(buckets._spent) <= 10_000
    alone = Buckets()
    alone.take("a", rate, now=0.0)
    assert alone.drain(most=1) == []
