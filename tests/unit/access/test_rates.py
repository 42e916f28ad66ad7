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
