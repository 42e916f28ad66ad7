"""The audit log: its lines, what is only counted, and what happens to a slow or rotated file."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.parts.polling import eventually

from lambdaagent.access.decide import Decision
from lambdaagent.access.principal import ANONYMOUS, Principal
from lambdaagent.clock import Clock, random_uuid
from lambdaagent.gateway.access import audit
from lambdaagent.gateway.access.audit import Asked, AuditLog

ALICE = Principal("corp:alice", "corp", frozenset(("corp:sales",)), actors=("agent:shop/orders",))
ALLOWED = Decision(True, "grants[0]", "a grant of the agent names the caller")
DENIED = Decision(False, "default", "no grant of the agent allows it")


class Time:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def log(tmp_path: Path, time: Time) -> AuditLog:
    return AuditLog(Clock(now=lambda: time.now, new_id=random_uuid), str(tmp_path / "audit.log"))


def asked(name: str = "quote", *, peer: str = "10.0.0.1") -> Asked:
    return Asked("r-1", peer, "invoke", "shop", name, skill="say", trace="4bf9")


def lines(log: AuditLog) -> list[Any]:
    path = Path(log.path)
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


async def test_a_line_has_the_names_of_the_kubernetes_audit_event(log: AuditLog) -> None:
    async with log.run():
        log.decided(asked(), ALICE, ALLOWED, code=0, mode="enforce")
        log.decided(asked(), ALICE, DENIED, code=403, mode="audit")
    allowed, denied = lines(log)
    assert allowed == {
        "auditID": "r-1",
        "stage": "Decision",
        "requestReceivedTimestamp": "2027-01-15T08:00:00.000000Z",
        "verb": "invoke",
        "user": {"username": "corp:alice", "groups": ["corp:sales"]},
        "sourceIPs": ["10.0.0.1"],
        "objectRef": {"resource": "lambdaagents", "namespace": "shop", "name": "quote"},
        "annotations": {"decision": "allow", "rule": "grants[0]", "reason": ALLOWED.reason},
        "skill": "say",
        "traceId": "4bf9",
        "actor": ["agent:shop/orders"],
    }
    assert (denied["annotations"]["decision"], denied["annotations"]["mode"]) == ("forbid", "audit")
    assert denied["responseStatus"] == {"code": 403}


@given(st.lists(st.floats(min_value=0, max_value=4e9), min_size=1, max_size=20), st.sampled_from(["", "4b" * 16]))
def test_each_line_has_its_own_time_and_no_more_bytes_than_were_counted(times: list[float], trace: str) -> None:
    now = iter(times)
    log = AuditLog(Clock(now=lambda: next(now), new_id=random_uuid), on=True)
    for number in range(len(times)):
        log.decided(Asked(f"r-{number}", "10.0.0.1", "invoke", trace=trace), ALICE, ALLOWED, code=0, mode="enforce")
    text = audit._text(log._waiting)
    written = [orjson.loads(line) for line in text.splitlines()]
    assert [line["auditID"] for line in written] == [f"r-{number}" for number in range(len(times))]
    for line, at in zip(written, times, strict=True):
        assert abs(datetime.fromisoformat(line["requestReceivedTimestamp"]).timestamp() - at) < 2e-6
    assert len(text) <= log._size <= len(text) + 100 * len(times)


async def test_an_address_that_is_not_utf_8_costs_no_other_line(log: AuditLog) -> None:
    async with log.run():
        for peer in ("10.0.0.1", "fe80::1%\udcff", "10.0.0.2"):
            log.decided(asked(peer=peer), ALICE, ALLOWED, code=0, mode="enforce")
    written = [json.loads(line)["sourceIPs"] for line in Path(log.path).read_bytes().splitlines()]
    assert written == [["10.0.0.1"], ["fe80::1%\udcff"], ["10.0.0.2"]]


async def test_refusals_of_nobody_are_counted_for_each_address_and_agent(log: AuditLog, time: Time) -> None:
    async with log.run():
        for _ in range(1_000):
            log.decided(asked(), ANONYMOUS, DENIED, code=401, mode="enforce")
        log.decided(asked("other"), ANONYMOUS, DENIED, code=401, mode="enforce")
        log.decided(asked(peer="10.0.0.2"), ANONYMOUS, DENIED, code=401, mode="enforce")
        log.decided(asked(), ALICE, DENIED, code=403, mode="enforce")
        await eventually(lambda: len(lines(log)) == 4)
        time.now += audit.SUMMARY
        await eventually(lambda: len(lines(log)) == 5)
    summary = lines(log)[-1]
    assert (summary["stage"], summary["objectRef"]["name"]) == ("Summary", "quote")
    assert summary["annotations"]["count"] == "999"


async def test_a_thousand_addresses_cost_bounded_memory(log: AuditLog) -> None:
    async with log.run():
        for number in range(5_000):
            log.decided(asked(peer=f"10.0.{number // 250}.{number % 250}"), ANONYMOUS, DENIED, code=401, mode="enforce")
        assert len(log._nobody) <= 1_000


async def test_what_does_not_fit_is_counted_and_said(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_MOST", 2_000)
    async with log.run():
        for _ in range(100):
            log.decided(asked(), ALICE, ALLOWED, code=0, mode="enforce")
    written = lines(log)
    (lost,) = [line for line in written if line["stage"] == "Lost"]
    assert len(written) - 1 + int(lost["annotations"]["count"]) == 100


async def test_a_file_that_was_moved_is_made_again(log: AuditLog, tmp_path: Path) -> None:
    async with log.run():
        log.decided(asked(), ALICE, ALLOWED, code=0, mode="enforce")
        await eventually(lambda: len(lines(log)) == 1)
        Path(log.path).rename(tmp_path / "audit.log.1")
        log.decided(asked(), ALICE, DENIED, code=403, mode="enforce")
    assert [line["annotations"]["decision"] for line in lines(log)] == ["forbid"]


async def test_a_file_that_cannot_be_written_is_said(
    log: AuditLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "audit.log").mkdir()
    async with log.run():
        log.decided(asked(), ALICE, ALLOWED, code=0, mode="enforce")
    assert "audit.write_failed" in capsys.readouterr().out


async def test_invented_names_of_agents_do_not_fill_the_log(log: AuditLog) -> None:
    async with log.run():
        for number in range(1000):
            log.decided(asked(f"x{number}"), ANONYMOUS, DENIED, code=401, mode="enforce")
        log.decided(asked("quote", peer="10.0.0.2"), ANONYMOUS, DENIED, code=401, mode="enforce")
    found = lines(log)
    decisions = [line for line in found if line["stage"] == "Decision"]
    assert [line["sourceIPs"] for line in decisions] == [["10.0.0.1"]] * 21 + [["10.0.0.2"]]
    (summary,) = [line for line in found if line["stage"] == "Summary"]
    assert (summary["annotations"]["count"], summary["objectRef"]["name"]) == ("979", "")


async def test_an_address_has_lines_of_its_own_again_after_a_while(log: AuditLog, time: Time) -> None:
    log.on = True
    for _ in range(3):
        for number in range(100):
            log.decided(asked(f"x{number}"), ANONYMOUS, DENIED, code=401, mode="enforce")
        time.now += audit.SUMMARY + 1
        async with log.run():
            await eventually(lambda: not log._nobody)
        log.on = True
    assert log._kinds == {}
    assert sum(line["stage"] == "Decision" for line in lines(log)) == 3 * 21
