"""Rights beside those of one agent's operations: others' tasks, and events to a namespace."""

import pytest

from lambdaagent.access.actions import Action
from lambdaagent.access.installation import Installation
from lambdaagent.access.principal import ANONYMOUS, Principal
from lambdaagent.access.rules import AgentRules, Grant, Mode
from lambdaagent.gateway.access.guard import Guard, State

ROOT = Principal("corp:root", source="corp")
ALICE = Principal("corp:alice", source="corp")
PUBLIC = AgentRules("shop", "echo", public=True)


class Rbac:
    """Answers that RBAC allows everything, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def allows(self, principal: Principal, *, verb: str, subresource: str, **_: str) -> bool:
        self.asked.append((principal.name, verb, subresource))
        return True


def guard(
    installation: dict[str, object] | None = None, *, rbac: Rbac | None = None, mode: Mode = Mode.ENFORCE
) -> Guard:
    file = Installation.model_validate(
        {
            "issuers": [
                {"name": name, "issuer": f"https://{name}.example.com", "audiences": ["a"]}
                for name in ("corp", "other")
            ],
            "admins": ["corp:root"],
            **(installation or {}),
        }
    )
    return Guard(mode, State(file, file.rules(), verifier=None), rbac)  # type: ignore[arg-type]


ABOVE = [
    pytest.param({"namespaces": ["store"]}, "ceiling.namespaces", id="namespaces"),
    pytest.param({"issuers": ["other"]}, "ceiling.issuers", id="issuers"),
    pytest.param({"requiredClaims": {"mfa": ["true"]}}, "ceiling.requiredClaims", id="claims"),
]


@pytest.mark.parametrize(("ceiling", "rule"), ABOVE)
async def test_events_do_not_pass_the_ceiling_either(ceiling: dict[str, object], rule: str) -> None:
    rbac = Rbac()
    for principal in (ROOT, ALICE):
        found = await guard({"ceiling": ceiling}, rbac=rbac).in_namespace(principal, Action.PUBLISH, "shop")
        assert (found.allowed, found.rule) == (False, rule)
    assert rbac.asked == []


async def test_events_are_sent_by_administrators_and_whom_rbac_allows() -> None:
    rbac = Rbac()
    assert (await guard().in_namespace(ROOT, Action.PUBLISH, "shop")).rule == "admins"
    assert (await guard().in_namespace(ALICE, Action.PUBLISH, "shop")).rule == "default"
    assert (await guard(rbac=rbac).in_namespace(ALICE, Action.PUBLISH, "shop")).rule == "rbac"
    assert (await guard(rbac=rbac).in_namespace(ANONYMOUS, Action.PUBLISH, "shop")).rule == "anonymous"
    assert rbac.asked == [("corp:alice", "create", "events")]
    off = {"kubernetes": {"subjectAccessReview": False}}
    assert not (await guard(off, rbac=rbac).in_namespace(ALICE, Action.PUBLISH, "shop")).allowed


@pytest.mark.parametrize(("ceiling", "rule"), ABOVE)
async def test_others_tasks_of_a_public_agent_need_more_than_that_it_is_public(
    ceiling: dict[str, object], rule: str
) -> None:
    """A caller that the ceiling keeps out calls a public agent like anybody; an administrator's rights it has not."""
    rbac = Rbac()
    found = guard({"ceiling": {"allowPublic": True, **ceiling}}, rbac=rbac)
    for principal in (ROOT, ALICE, ANONYMOUS):
        assert (await found.decision(principal, Action.INVOKE, PUBLIC)).allowed is (rule != "ceiling.namespaces")
        assert not await found.reaches_all_tasks(principal, PUBLIC, "list")
    assert rbac.asked == []


async def test_others_tasks_are_for_administrators_and_whom_rbac_allows() -> None:
    rbac = Rbac()
    assert await guard().reaches_all_tasks(ROOT, PUBLIC, "list")
    assert not await guard().reaches_all_tasks(ALICE, PUBLIC, "list")
    assert await guard(rbac=rbac).reaches_all_tasks(ALICE, PUBLIC, "delete")
    assert not await guard(rbac=rbac).reaches_all_tasks(ANONYMOUS, PUBLIC, "get")
    assert rbac.asked == [("corp:alice", "delete", "tasks")]


@pytest.mark.parametrize(("ceiling", "rule"), ABOVE)
async def test_the_cluster_is_not_asked_about_what_the_ceiling_denies(ceiling: dict[str, object], rule: str) -> None:
    rbac = Rbac()
    found = guard({"ceiling": ceiling}, rbac=rbac)
    agent = AgentRules("shop", "echo")
    assert (await found.decision(ALICE, Action.INVOKE, agent)).rule == rule
    assert not await found.sees(ALICE, agent)
    assert not await found.sees(ALICE, agent, listed=True)
    assert rbac.asked == []


def test_remembered_skills_are_those_of_the_caller_and_the_agent() -> None:
    state = guard().state
    assert state is not None
    bob = Principal("corp:bob", source="corp")
    grants = tuple(
        Grant(frozenset((name,)), frozenset(), (), frozenset(skills), frozenset())
        for name, skills in (("corp:alice", {"say"}), ("corp:bob", {"sing"}))
    )
    some, others = AgentRules("shop", "some", grants=grants), AgentRules("shop", "others", grants=grants[::-1][:1])
    cases: list[tuple[Principal, AgentRules, set[str] | None]] = [
        (ALICE, some, {"say"}),
        (bob, some, {"sing"}),
        (ROOT, some, None),
        (ALICE, others, set()),
        (bob, others, {"sing"}),
    ]
    for principal, agent, skills in cases * 2:
        assert state.skills(principal, agent) == skills
