"""The time of the next reconcile of an agent without an event."""

from lambdaagent.controller.reconciling import next_look
from lambdaagent.status.conditions import ApplyFailure


def test_a_settled_agent_waits_for_the_resync() -> None:
    assert 480 <= next_look((), resync_seconds=600) <= 720


def test_a_failure_whose_end_no_watch_tells_is_looked_at_soon() -> None:
    assert 24 <= next_look([ApplyFailure("NameTaken", "is another's")], resync_seconds=600) <= 36


def test_a_resync_that_is_sooner_stays_sooner() -> None:
    assert next_look([ApplyFailure("Forbidden", "quota")], resync_seconds=1) <= 1.2


def test_what_passes_by_itself_has_its_own_back_off() -> None:
    assert next_look([ApplyFailure("Timeout", "late", permanent=False)], resync_seconds=600) >= 480
