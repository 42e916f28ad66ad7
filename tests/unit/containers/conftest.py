import pytest

from lambdaagent.clock import Clock


@pytest.fixture
def clock() -> Clock:
    ids = iter(range(1000))
    return Clock(now=lambda: 5.0, new_id=lambda: f"id-{next(ids)}")
