"""Commands that need no cluster and never open a kubeconfig: crd, validate, render."""

from typing import Annotated

import typer

from lambdaagent.api.crd import crd as make_crd
from lambdaagent.api.documents import Finding
from lambdaagent.children.base import Observed, backends
from lambdaagent.children.forwards import FINE
from lambdaagent.children.plan import Plan
from lambdaagent.children.plan import plan as make_plan
from lambdaagent.children.warnings import warnings
from lambdaagent.cli.printing import Format, print_documents, print_json, say
from lambdaagent.cli.processes import read_settings
from lambdaagent.errors import UsageError
from lambdaagent.kube import manifests
from lambdaagent.settings import Installation

Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, directories, or - for standard input.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="For documents that name none.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="Form of the output.")]


def register(app: typer.Typer) -> None:
    app.command()(crd)
    app.command()(validate)
    app.command()(render)


def crd(output: Output = Format.YAML) -> None:
    """Print the CustomResourceDefinition."""
    if output is Format.JSON:
        print_json(make_crd())
    else:
        print_documents([make_crd()], output)


def validate(
    paths: Paths,
    namespace: Namespace = "default",
    output: Annotated[str, typer.Option("--output", "-o", help="text or json")] = "text",
) -> None:
    """Say everything that is wrong with LambdaAgents in files; exit 1 where anything is."""
    if output not in ("text", "json"):
        raise UsageError(f"--output {output}: use text or json")
    found = manifests.load(paths, namespace=namespace)
    if output == "json":
        print_json([_finding(finding) for finding in found.errors])
    else:
        for finding in found.errors:
            typer.echo(str(finding))
    for finding in found.skipped:
        say(f"warning: {finding}")
    installation, observed = read_settings(Installation), _observed(found)
    for agent in found.agents:
        for warning in warnings(agent, installation, backends(installation, None), observed):
            say(f"warning: {agent.key}: {warning.field}: {warning.message}")
    if found.errors:
        say(f"{len(found.errors)} problems in {len({finding.file for finding in found.errors})} files")
        raise typer.Exit(1)
    if not found.agents:
        raise UsageError("no LambdaAgent in the files")
    say(f"{len(found.agents)} LambdaAgents are valid")


def render(paths: Paths, namespace: Namespace = "default", output: Output = Format.YAML) -> None:
    """Print the objects that the operator would apply for LambdaAgents in files."""
    found = manifests.load(paths, namespace=namespace, strict=False)
    for finding in found.errors:
        say(f"error: {finding}")
    for finding in found.skipped:
        say(f"warning: {finding}")
    if found.errors:
        raise typer.Exit(1)
    if not found.agents:
        raise UsageError("no LambdaAgent in the files")
    installation, observed = read_settings(Installation), _observed(found)
    documents: dict[tuple[str, str, str, str], dict[str, object]] = {}
    for agent in found.agents:
        plan = make_plan(agent, installation=installation, backends=backends(installation, None), observed=observed)
        _explain(agent.key, plan)
        for child in plan.children:  # a Broker that agents share is printed once
            documents.setdefault((*child.kind, agent.namespace, child.name), child.obj)
    print_documents(list(documents.values()), output)


def _observed(found: manifests.Manifests) -> Observed:
    """The files are all that is known of a cluster here."""
    return Observed(agents={(agent.namespace, agent.name): agent for agent in found.agents})


def _explain(key: str, plan: Plan) -> None:
    for warning in plan.warnings:
        say(f"warning: {key}: {warning.field}: {warning.message}")
    for decision in plan.forwards:
        if decision.verdict not in FINE:
            say(f"warning: {key}: forward to {decision.message}")
    if plan.awaited:
        broker = f"{plan.awaited.namespace}/{plan.awaited.name}"
        say(f"warning: {key}: no workload printed: K_SINK is the address of Broker {broker}, known only in a cluster")


def _finding(finding: Finding) -> dict[str, object]:
    problem = finding.problem
    return {
        "file": finding.file,
        "line": finding.line,
        "document": finding.document,
        "field": problem.field,
        "message": problem.message,
        "hint": problem.hint,
    }
