"""Children at the limits of Knative and Kubernetes."""

import re
from typing import Any

import pytest
from tests.cases.rules import Rule, document

from lambdaagent.api import agent as agents
from lambdaagent.api.validation import problems
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.plan import Plan, plan
from lambdaagent.settings import Installation


def planned(spec: dict[str, Any], *, name: str = "agent") -> Plan:
    obj = document(Rule("limit", spec, "", name=name))
    assert problems(obj) == []
    return plan(agents.parse(obj), installation=Installation(), backends=Backends(), observed=Observed())


def container(spec: dict[str, Any]) -> dict[str, Any]:
    (service,) = [child.obj for child in planned(spec).children if child.kind[1] == "Service"]
    (only,) = service["spec"]["template"]["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize("name", ["agent", "a" * 63], ids=["a short name", "a name of 63 characters"])
def test_200_subscriptions_are_200_triggers_with_names_of_their_own(name: str) -> None:
    # Alike for as long as a name is kept, so that only the hash tells them apart.
    kinds = [f"io.example.a-very-long-event-type.that-goes-on-and-on.until-it-is-cut.{n:03d}" for n in range(200)]
    made = planned({"eventing": {"subscriptions": [{"eventType": kind} for kind in kinds]}}, name=name)
    triggers = [child.obj for child in made.children if child.kind[1] == "Trigger"]
    names = {trigger["metadata"]["name"] for trigger in triggers}
    assert len(triggers) == len(names) == 200
    assert all(len(name) <= 63 and re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name) for name in names)
    assert {trigger["spec"]["filter"]["attributes"]["type"] for trigger in triggers} == set(kinds)


@pytest.mark.parametrize("field", ["timeoutSeconds", "failureThreshold"])
def test_a_readiness_probe_that_says_more_has_a_period_without_which_knative_refuses_it(field: str) -> None:
    probe = container({"behavior": {"healthCheck": {"readiness": {field: 3}}}})["readinessProbe"]
    assert (probe[field], probe["periodSeconds"]) == (3, 10)


def test_a_readiness_probe_that_says_nothing_leaves_knative_its_fast_way() -> None:
    probe = container({"behavior": {"healthCheck": {"readiness": {"initialDelaySeconds": 3}}}})["readinessProbe"]
    assert "periodSeconds" not in probe


def test_a_pull_secret_that_stands_twice_is_named_once() -> None:
    image = {"repository": "example.com/agent", "imagePullSecrets": ["one", "two", "one"]}
    (service,) = [child.obj for child in planned({"image": image}).children if child.kind[1] == "Service"]
    assert service["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
