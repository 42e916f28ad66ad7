import pytest

from lambdaagent.events.retry import Policy, retry_after, seconds


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        pytest.param(Policy(retry=4, delay=1.0), [2.0, 4.0, 8.0, 16.0, None], id="exponential, as Knative's"),
        pytest.param(Policy(retry=3, delay=2.0, backoff="linear"), [2.0, 4.0, 6.0, None], id="linear, as Knative's"),
        pytest.param(Policy(retry=0), [None], id="never again"),
        pytest.param(Policy(retry=100, delay=1.0, cap=5.0), [2.0, 4.0, 5.0, 5.0], id="capped"),
    ],
)
def test_waits_between_attempts(policy: Policy, waits: list[float | None]) -> None:
    assert [policy.wait(attempt) for attempt in range(1, len(waits) + 1)] == waits


@pytest.mark.parametrize(
    ("text", "expected"),
    [("PT1S", 1.0), ("PT0.5S", 0.5), ("PT2M", 120.0), ("P1DT1H", 90000.0)],
)
def test_iso_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_what_is_no_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="1s"):
        seconds("1s")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param({"retry-after": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0, id="a date"),
        pytest.param({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0.0, id="a date that has passed"),
        pytest.param({"retry-after": "soon"}, None, id="nonsense"),
        pytest.param({}, None, id="none"),
    ],
)
def test_retry_after(header: dict[str, str], expected: float | None) -> None:
    assert retry_after(header, now=60.0) == expected
