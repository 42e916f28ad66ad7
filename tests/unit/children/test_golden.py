"""The children of rich LambdaAgents, compared to the letter with tests/golden.

`UPDATE_GOLDEN=1 pytest tests/unit/children/test_golden.py` writes the files anew; read the diff.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cases import generate

from lambdaagent.api import agent as agents
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.validation import problems
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.plan import plan
from lambdaagent.cli.printing import yaml_text
from lambdaagent.settings import Installation

TESTS = Path(__file__).parents[2]
CASES = sorted((TESTS / "cases" / "agents").glob("*.yaml"))
INSTALLATION = Installation(event_keys="k1:MDEyMzQ1Njc4OWFiY2RlZg==", gateway_image="example.com/lambdaagent:v1")
BACKENDS = {
    "knative": Backends("knative", "knative"),
    "kubernetes": Backends("kubernetes", "rabbitmq"),
}


def load(path: Path) -> dict[str, Any]:
    obj: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.SafeLoader)
    return obj


def agent_of(path: Path) -> LambdaAgent:
    obj = load(path)
    obj["metadata"] |= {"uid": "00000000-0000-0000-0000-000000000001", "generation": 1}
    return agents.parse(obj)


def neighbour(namespace: str, name: str, **eventing: Any) -> LambdaAgent:
    spec = {"image": {"repository": "r"}, "eventing": {"enabled": True, **eventing}}
    return agents.parse({"metadata": {"name": name, "namespace": namespace}, "spec": spec})


NEIGHBOURS = {
    (agent.namespace, agent.name): agent
    for agent in (
        neighbour("finance", "ledger", acceptForwardsFrom=["ai"]),
        neighbour("finance", "closed", acceptForwardsFrom=[]),
        neighbour("ai", "chat"),
    )
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_children_are_to_the_letter(path: Path, backend: str) -> None:
    agent = agent_of(path)
    observed = Observed(agents=NEIGHBOURS | {(agent.namespace, agent.name): agent})
    made = plan(agent, installation=INSTALLATION, backends=BACKENDS[backend], observed=observed)
    text = "---\n".join(
        [
            *(yaml_text(child.obj) for child in made.children),
            yaml_text(
                {
                    "warnings": [f"{warning.field}: {warning.reason}" for warning in made.warnings],
                    "forwards": [f"{decision.verdict}: {decision.message}" for decision in made.forwards],
                }
            ),
        ]
    )
    golden = TESTS / "golden" / backend / path.name
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_every_case_is_a_valid_agent(path: Path) -> None:
    assert problems(load(path)) == []


@pytest.mark.parametrize("name", generate.cases())
def test_generated_cases_are_up_to_date(name: str) -> None:
    assert load(TESTS / "cases" / "agents" / f"{name}.yaml") == generate.cases()[name]


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_every_name_fits_what_is_derived_from_it(path: Path) -> None:
    agent = agent_of(path)
    made = plan(agent, installation=INSTALLATION, backends=BACKENDS["knative"], observed=Observed(agents=NEIGHBOURS))
    limits = {"Trigger": 48, "Broker": 48, "RabbitmqBrokerConfig": 48}
    names = [(child.kind, child.name) for child in made.children]
    assert len(set(names)) == len(names)
    for child in made.children:
        assert len(child.name) <= limits.get(child.kind[1], 63)
        assert all(len(value) <= 63 for value in child.obj["metadata"]["labels"].values())
