"""The audit of kopf's watch by a list of the agents."""

import asyncio
from typing import Any

import pytest

from lambdaagent.controller import audit
from lambdaagent.controller.audit import Auditor, ghosts, unheard
from lambdaagent.controller.kopf_watch import EndedError
from lambdaagent.kube.errors import UnavailableError

ONE, TWO = ("ns", "one"), ("ns", "two")


def test_what_was_known_before_the_list_and_is_not_in_it_is_a_ghost() -> None:
    assert ghosts({ONE: 5, TWO: 6}, {TWO: 6}, at=9) == {ONE}


def test_what_became_known_after_the_list_is_none() -> None:
    assert ghosts({ONE: 10}, {}, at=9) == set()


def test_unheard_is_what_is_listed_in_a_newer_version_or_not_known_at_all() -> None:
    assert unheard({ONE: 5}, {ONE: 6, TWO: 1}) == {ONE, TWO}


def test_what_is_known_in_a_newer_version_was_heard() -> None:
    assert unheard({ONE: 7}, {ONE: 6}) == set()


class Clock:
    """A clock that records the waits and ends the audit after its third round."""

    def __init__(self, during_grace: Any = None) -> None:
        self.slept: list[float] = []
        self.during_grace = during_grace

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if seconds == audit.GRACE_SECONDS and self.during_grace:
            self.during_grace()
        if sum(each != audit.GRACE_SECONDS for each in self.slept) > 2:
            raise asyncio.CancelledError


class Server:
    """A server that lists agents, given as `name: version`; with None it refuses."""

    def __init__(self, agents: dict[str, int] | None) -> None:
        self.agents = agents

    async def request(self, method: str, path: str, *, target: str, **options: Any) -> Any:
        if self.agents is None:
            raise UnavailableError(f"cannot list {target}", reason="Timeout", status=0)
        items = [
            {"metadata": {"namespace": "ns", "name": name, "resourceVersion": str(version)}}
            for name, version in self.agents.items()
        ]
        return {"metadata": {"resourceVersion": "100"}, "items": items}


async def audited(server: Server, known: dict[tuple[str, str], int], clock: Clock) -> list[tuple[str, str]]:
    gone: list[tuple[str, str]] = []

    def forget(key: tuple[str, str]) -> None:
        del known[key]
        gone.append(key)

    auditor = Auditor(server, lambda: known, forget, every=600, sleep=clock.sleep)  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await auditor.run()
    return gone


async def test_a_ghost_is_dropped_once_and_the_audits_are_jittered() -> None:
    clock = Clock()
    assert await audited(Server({"two": 6}), {ONE: 5, TWO: 6}, clock) == [ONE]
    assert all(480 <= each <= 720 for each in clock.slept)


async def test_a_change_that_is_told_late_is_no_deafness() -> None:
    known = {ONE: 5}
    assert await audited(Server({"one": 6}), known, Clock(lambda: known.update({ONE: 6}))) == []


async def test_an_agent_that_came_and_went_unseen_is_no_deafness() -> None:
    server = Server({"one": 6})
    assert await audited(server, {}, Clock(lambda: server.agents.clear())) == []  # type: ignore[union-attr]


async def test_a_change_that_is_never_told_is() -> None:
    auditor = Auditor(Server({"one": 6}), lambda: {ONE: 5}, print, every=600, sleep=Clock().sleep)  # type: ignore[arg-type]
    with pytest.raises(EndedError, match="1 changes, one of them of agent ns/one"):
        await auditor.run()


async def test_what_cannot_be_listed_is_no_news() -> None:
    assert await audited(Server(None), {ONE: 5}, Clock()) == []
