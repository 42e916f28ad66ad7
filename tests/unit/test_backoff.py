from lambdaagent.backoff import Backoff


def longest(low: float, high: float) -> float:
    return high


def test_waits_double_up_to_the_cap() -> None:
    backoff = Backoff(first=1, cap=5, uniform=longest)
    assert [backoff.next() for _ in range(4)] == [1, 2, 4, 5]


def test_a_success_starts_anew() -> None:
    backoff = Backoff(first=1, cap=5, uniform=longest)
    backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.next() == 1


def test_replicas_do_not_wait_the_same_time() -> None:
    assert len({Backoff(first=1).delay(1) for _ in range(20)}) > 1


def test_a_very_late_attempt_does_not_overflow() -> None:
    assert Backoff(first=1, cap=5, uniform=longest).delay(10_000) == 5
