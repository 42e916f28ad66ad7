"""Commands that need no cluster and never open a kubeconfig: crd, validate, render. The last two are in `checking`."""

from enum import StrEnum
from typing import Annotated

import typer

from lambdaagent.cli.printing import Format

Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, directories, or - for standard input.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of documents that name none.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="Output format.")]


class ServingChoice(StrEnum):
    AUTO = "auto"
    KNATIVE = "knative"
    KUBERNETES = "kubernetes"


class EventingChoice(StrEnum):
    AUTO = "auto"
    KNATIVE = "knative"
    RABBITMQ = "rabbitmq"
    NONE = "none"


class Said(StrEnum):
    TEXT = "text"
    JSON = "json"


OnServing = Annotated[
    ServingChoice | None,
    typer.Option("--serving", help="How agents run in the cluster; default: LAMBDAAGENT_SERVING."),
]
OnEventing = Annotated[
    EventingChoice | None,
    typer.Option("--eventing", help="How events travel in the cluster; default: LAMBDAAGENT_EVENTING."),
]


def register(app: typer.Typer) -> None:
    app.command()(crd)
    app.command()(validate)
    app.command()(render)


def crd(output: Output = Format.YAML) -> None:
    """Print the CustomResourceDefinition."""
    from lambdaagent.api.crd import crd as make_crd
    from lambdaagent.cli.printing import print_documents, print_json

    if output is Format.JSON:
        print_json(make_crd())
    else:
        print_documents([make_crd()], output)


def validate(
    paths: Paths,
    namespace: Namespace = "default",
    output: Annotated[Said, typer.Option("--output", "-o", help="Output format.")] = Said.TEXT,
    serving: OnServing = None,
    eventing: OnEventing = None,
) -> None:
    """Print errors and warnings about LambdaAgents in files; exit with code 1 if there are errors."""
    from lambdaagent.cli import checking

    checking.validate(paths, namespace, in_json=output is Said.JSON, serving=serving, eventing=eventing)


def render(
    paths: Paths,
    namespace: Namespace = "default",
    output: Output = Format.YAML,
    serving: OnServing = None,
    eventing: OnEventing = None,
) -> None:
    """Print the objects that the operator would apply for LambdaAgents in files."""
    from lambdaagent.cli import checking

    checking.render(paths, namespace, output, serving=serving, eventing=eventing)
