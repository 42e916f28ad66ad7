from decimal import Decimal

import pytest

from lambdaagent.api import quantities


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("500ms", 0.5), ("1.5m", 90), ("1h30m", 5400), ("1m1s1ms", 61.001)],
)
def test_a_duration_is_its_seconds(text: str, seconds: float) -> None:
    assert quantities.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", "0"),
        ("500m", "0.5"),
        ("1.5Gi", "1610612736"),
        ("128M", "128000000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("2E-1", "0.2"),
        ("1E", "1000000000000000000"),
        ("1Ei", "1152921504606846976"),
        ("5u", "0.000005"),
        ("7n", "0.000000007"),
        ("3k", "3000"),
    ],
)
def test_a_quantity_is_its_number(text: str, number: str) -> None:
    assert quantities.quantity(text) == Decimal(number)
