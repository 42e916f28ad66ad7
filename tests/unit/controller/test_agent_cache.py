"""The cache of agents, and which agents a change wakes."""

from typing import Any

import pytest

from lambdaagent.api import naming
from lambdaagent.controller import agent_cache as rosters
from lambdaagent.controller.agent_cache import AgentCache
from lambdaagent.controller.probing import Prober
from lambdaagent.controller.subscribers import Subscribers
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
def agent_cache() -> AgentCache:
    return AgentCache(Prober(60, print), lambda *_: None, Subscribers(Installation()), print)


def test_a_change_of_status_alone_is_not_parsed_again(agent_cache: AgentCache, monkeypatch: pytest.MonkeyPatch) -> None:
    agent_cache.seen(agent(1))
    monkeypatch.setattr(rosters, "parse_valid", None)
    assert agent_cache.seen(agent(2, finalizers=["x"], managedFields=[{"manager": "m"}])) == {ONE}
    assert agent_cache.versions() == {ONE: 2}


def test_an_annotation_changes_the_parsed_agent_too(agent_cache: AgentCache) -> None:
    agent_cache.seen(agent(1))
    agent_cache.seen(agent(2, annotations={naming.ANNOTATION_POD_SECURITY: "baseline"}))
    assert naming.ANNOTATION_POD_SECURITY in agent_cache.agents[ONE].metadata.annotations


async def test_what_it_is_told_of_its_own_write_wakes_nobody(agent_cache: AgentCache) -> None:
    agent_cache.seen(agent(1))

    async def writing() -> Any:
        assert agent_cache.seen(agent(2, finalizers=["x"])) == set()
        return agent(2, finalizers=["x"])

    assert await agent_cache.write(ONE, writing()) == agent(2, finalizers=["x"])
    assert agent_cache.seen(agent(3)) == {ONE}


async def test_what_somebody_changed_after_it_does(agent_cache: AgentCache) -> None:
    woken: list[object] = []
    agent_cache.wake = woken.append
    agent_cache.seen(agent(1))

    async def writing() -> Any:
        agent_cache.seen(agent(3, generation=2))
        return agent(2, finalizers=["x"])

    await agent_cache.write(ONE, writing())
    assert woken == [ONE]


def test_those_that_forward_to_an_agent_hear_of_its_coming_and_going(agent_cache: AgentCache) -> None:
    source = agent(1)
    source["metadata"]["name"] = "source"
    source["spec"]["eventing"] = {"forwards": [{"targetAgent": "one", "targetNamespace": "ns", "eventTypes": ["a.b"]}]}
    agent_cache.seen(source)
    assert agent_cache.seen(agent(2)) == {ONE, ("ns", "source")}
    agent_cache.seen(
        agent(3, generation=2) | {"metadata": source["metadata"] | {"generation": 2, "resourceVersion": "3"}}
    )
    assert agent_cache.gone(ONE) == set()


def test_an_older_version_is_no_news(agent_cache: AgentCache) -> None:
    agent_cache.seen(agent(2))
    assert agent_cache.seen(agent(1, generation=7)) == set()


def test_one_made_anew_under_its_name_is_another(agent_cache: AgentCache) -> None:
    agent_cache.seen(agent(1))
    agent_cache.seen(agent(2, uid="u2", repository="example.com/b"))
    assert agent_cache.agents[ONE].uid == "u2"
    assert agent_cache.agents[ONE].spec.image.repository == "example.com/b"


def test_of_the_managed_fields_only_the_dispatchers_are_kept(agent_cache: AgentCache) -> None:
    entries = [{"manager": "kubectl"}, {"manager": naming.STATUS_OF_DISPATCHER}]
    agent_cache.seen(agent(1, managedFields=entries))
    assert agent_cache.raw[ONE]["metadata"]["managedFields"] == entries[1:]
    assert "spec" not in agent_cache.raw[ONE]


def test_an_invalid_agent_has_problems_and_is_no_agent(agent_cache: AgentCache) -> None:
    agent_cache.seen(agent(1))
    agent_cache.seen(agent(2, generation=2, repository="") | {"spec": {}})
    assert ONE not in agent_cache.agents
    assert agent_cache.problems[ONE]
    agent_cache.gone(ONE)
    assert not (agent_cache.raw or agent_cache.problems)


def test_what_a_write_answers_after_the_agent_went_is_not_taken_in(agent_cache: AgentCache) -> None:
    agent_cache.wrote(agent(3))
    assert agent_cache.raw == {}
