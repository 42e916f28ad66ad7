"""What we accept, the cluster accepts: the children of every agent of the tables, put to a real API server.

Knative's kinds meet the refusals of its webhooks (`tests/parts/admission`), and Deployments those of the API server
itself, which on Knative wait behind a revision.
"""

import contextlib

import pytest
from tests.cases.effects import BACKENDS, INSTALLATION, Refused
from tests.cases.fields import ROWS, documents
from tests.cases.rules import ACCEPTED, document
from tests.parts.kubernetes import KubeApiserver
from tests.parts.rest import RestError

from lambdaagent.api import agent as agents
from lambdaagent.children import knative
from lambdaagent.children.base import Observed
from lambdaagent.children.plan import plan
from lambdaagent.children.warning_reasons import WarningReason
from lambdaagent.kube import resources

AGENTS = {f"rule: {rule.id}": document(rule) for rule in ACCEPTED} | {
    f"field: {row.path}": documents(row)[1]
    for row in ROWS
    if not any(isinstance(effect, Refused) for effect in row.effects)
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("title", AGENTS)
def test_the_children_of_a_valid_agent_are_taken(kube_apiserver: KubeApiserver, title: str, backend: str) -> None:
    obj = AGENTS[title] | {"metadata": AGENTS[title]["metadata"] | {"namespace": "default"}}
    made = plan(agents.parse(obj), installation=INSTALLATION, backends=BACKENDS[backend], observed=Observed())
    warned = any(warning.reason == WarningReason.KNATIVE_LIMIT for warning in made.warnings)
    for child in made.children:
        path = resources.of(child.obj).path(namespace="default")
        # What is warned of is refused by a cluster that nobody has changed.
        refused = warned and child.kind == knative.SERVICE
        with pytest.raises(RestError, match="timeoutSeconds") if refused else contextlib.nullcontext():
            kube_apiserver.rest.post(f"{path}?fieldValidation=Strict&dryRun=All", child.obj)
