"""What is kept of the agents, and who is woken by which change."""

from typing import Any

import pytest

from lambdaagent.api import naming
from lambdaagent.controller import agent_cache as rosters
from lambdaagent.controller.agent_cache import Roster
from lambdaagent.controller.probing import Prober
from lambdaagent.controller.subscribers import Interests
from lambdaagent.settings import Installation

ONE = ("ns", "one")


def agent(
    version: int, *, generation: int = 1, uid: str = "u1", repository: str = "example.com/a", **metadata: Any
) -> Any:
    said = {"namespace": "ns", "name": "one", "uid": uid, "generation": generation, "resourceVersion": str(version)}
    return {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "metadata": said | metadata,
        "spec": {"image": {"repository": repository}},
    }


@pytest.fixture
def roster() -> Roster:
    return Roster(Prober(60, print), Interests(Installation()), print)


def test_a_change_of_status_alone_is_not_parsed_again(roster: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    roster.seen(agent(1))
    monkeypatch.setattr(rosters, "parse_valid", None)
    assert roster.seen(agent(2, finalizers=["x"], managedFields=[{"manager": "m"}])) == {ONE}
    assert roster.versions() == {ONE: 2}


def test_an_annotation_changes_the_parsed_agent_too(roster: Roster) -> None:
    roster.seen(agent(1))
    roster.seen(agent(2, annotations={naming.ANNOTATION_POD_SECURITY: "baseline"}))
    assert naming.ANNOTATION_POD_SECURITY in roster.agents[ONE].metadata.annotations


async def test_what_it_is_told_of_its_own_write_wakes_nobody(roster: Roster) -> None:
    roster.seen(agent(1))

    async def writing() -> Any:
        assert roster.seen(agent(2, finalizers=["x"])) == set()
        return agent(2, finalizers=["x"])

    assert await roster.write(ONE, writing()) == agent(2, finalizers=["x"])
    assert roster.seen(agent(3)) == {ONE}


async def test_what_somebody_changed_after_it_does(roster: Roster) -> None:
    woken: list[object] = []
    roster.wake = woken.append
    roster.seen(agent(1))

    async def writing() -> Any:
        roster.seen(agent(3, generation=2))
        return agent(2, finalizers=["x"])

    await roster.write(ONE, writing())
    assert woken == [ONE]


def test_those_that_forward_to_an_agent_hear_of_its_coming_and_going(roster: Roster) -> None:
    source = agent(1)
    source["metadata"]["name"] = "source"
    source["spec"]["eventing"] = {"forwards": [{"targetAgent": "one", "targetNamespace": "ns", "eventTypes": ["a.b"]}]}
    roster.seen(source)
    assert roster.seen(agent(2)) == {ONE, ("ns", "source")}
    roster.seen(agent(3, generation=2) | {"metadata": source["metadata"] | {"generation": 2, "resourceVersion": "3"}})
    assert roster.gone(ONE) == set()


def test_an_older_version_is_no_news(roster: Roster) -> None:
    roster.seen(agent(2))
    assert roster.seen(agent(1, generation=7)) == set()


def test_one_made_anew_under_its_name_is_another(roster: Roster) -> None:
    roster.seen(agent(1))
    roster.seen(agent(2, uid="u2", repository="example.com/b"))
    assert roster.agents[ONE].uid == "u2"
    assert roster.agents[ONE].spec.image.repository == "example.com/b"


def test_of_the_managed_fields_only_the_dispatchers_are_kept(roster: Roster) -> None:
    entries = [{"manager": "kubectl"}, {"manager": naming.STATUS_OF_DISPATCHER}]
    roster.seen(agent(1, managedFields=entries))
    assert roster.raw[ONE]["metadata"]["managedFields"] == entries[1:]
    assert "spec" not in roster.raw[ONE]


def test_an_invalid_agent_has_problems_and_is_no_agent(roster: Roster) -> None:
    roster.seen(agent(1))
    roster.seen(agent(2, generation=2, repository="") | {"spec": {}})
    assert ONE not in roster.agents
    assert roster.problems[ONE]
    roster.gone(ONE)
    assert not (roster.raw or roster.problems)


def test_what_a_write_answers_after_the_agent_went_is_not_taken_in(roster: Roster) -> None:
    roster.wrote(agent(3))
    assert roster.raw == {}
