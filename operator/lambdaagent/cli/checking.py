"""Implements `validate` and `render`: both print the same warnings, about the plan that the operator would apply."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from lambdaagent.api.agent import FieldWarning
from lambdaagent.api.documents import Finding
from lambdaagent.children.base import Observed, backends
from lambdaagent.children.forwards import FINE
from lambdaagent.children.plan import Plan
from lambdaagent.children.plan import plan as make_plan
from lambdaagent.children.warnings import warnings
from lambdaagent.cli.printing import Format, print_documents, print_json, say
from lambdaagent.cli.processes import read_settings
from lambdaagent.controller.sidecar_rules import with_sidecar_rules
from lambdaagent.errors import UsageError
from lambdaagent.kube import manifests
from lambdaagent.kube.manifests import Manifests
from lambdaagent.settings import Installation


@dataclass(frozen=True, slots=True)
class Doubt:
    """A warning about an agent, with the agent's place in the files."""

    place: Finding
    agent: str
    warning: FieldWarning

    def __str__(self) -> str:
        return f"{self.agent}: {self.warning.field}: {self.warning.message}"


def validate(paths: list[str], namespace: str, *, in_json: bool, serving: str | None, eventing: str | None) -> None:
    found = manifests.load(paths, namespace=namespace)
    doubts = list(_doubts(found, _installation(serving, eventing)))
    if in_json:
        said = [_finding(finding, "error") for finding in found.errors]
        said += [_finding(finding, "warning") for finding in found.skipped]
        print_json(said + [_doubt(doubt) for doubt in doubts])
    else:
        for finding in found.errors:
            typer.echo(str(finding))
    for warning in (*found.skipped, *doubts):
        say(f"warning: {warning}")
    if found.errors:
        say(f"{len(found.errors)} problems in {len({finding.file for finding in found.errors})} files")
        raise typer.Exit(1)
    if not found.agents:
        raise UsageError("no LambdaAgent in the files")
    say(f"{len(found.agents)} LambdaAgents are valid")


def render(paths: list[str], namespace: str, output: Format, *, serving: str | None, eventing: str | None) -> None:
    found = manifests.load(paths, namespace=namespace, strict=False)
    for finding in found.errors:
        say(f"error: {finding}")
    for finding in found.skipped:
        say(f"warning: {finding}")
    if found.errors:
        raise typer.Exit(1)
    if not found.agents:
        raise UsageError("no LambdaAgent in the files")
    installation, observed = _installation(serving, eventing), _observed(found)
    documents: dict[tuple[str, str, str, str], dict[str, object]] = {}
    for agent in found.agents:
        plan = make_plan(agent, installation=installation, backends=backends(installation, None), observed=observed)
        _explain(agent.key, plan)
        for child in plan.children:  # a Broker that agents share is printed once
            documents.setdefault((*child.kind, agent.namespace, child.name), child.obj)
    print_documents(list(documents.values()), output)


def _installation(serving: str | None, eventing: str | None) -> Installation:
    """Return the installation from the settings, with the values of the command line in their place."""
    said = {name: str(value) for name, value in (("serving", serving), ("eventing", eventing)) if value is not None}
    return with_sidecar_rules(read_settings(Installation).model_copy(update=said))


def _observed(found: Manifests) -> Observed:
    """Return the observed state: without a cluster only the agents in the files are known."""
    return Observed(agents={(agent.namespace, agent.name): agent for agent in found.agents})


def _doubts(found: Manifests, installation: Installation) -> Iterator[Doubt]:
    observed = _observed(found)
    for agent in found.agents:
        place = found.places[agent.namespace, agent.name]
        for warning in warnings(agent, installation, backends(installation, None), observed):
            yield Doubt(place, agent.key, warning)


def _explain(key: str, plan: Plan) -> None:
    for warning in plan.warnings:
        say(f"warning: {key}: {warning.field}: {warning.message}")
    for decision in plan.forwards:
        if decision.verdict not in FINE:
            say(f"warning: {key}: forward to {decision.message}")
    if plan.awaited:
        broker = f"{plan.awaited.namespace}/{plan.awaited.name}"
        say(f"warning: {key}: its workload is not printed, because only a cluster knows the address of Broker {broker}")


def _finding(finding: Finding, severity: str) -> dict[str, Any]:
    problem = finding.problem
    return {
        "severity": severity,
        **_place(finding),
        "field": problem.field,
        "message": problem.message,
        "hint": problem.hint,
    }


def _doubt(doubt: Doubt) -> dict[str, Any]:
    warning = doubt.warning
    return {
        "severity": "warning",
        **_place(doubt.place),
        "field": warning.field,
        "message": warning.message,
        "hint": "",
        "agent": doubt.agent,
        "reason": warning.reason,
    }


def _place(finding: Finding) -> dict[str, Any]:
    return {"file": finding.file, "line": finding.line, "document": finding.document}
