"""`lambdaagent rbac`: the accounts and roles of an installation, as the code needs them; opens no kubeconfig."""

from typing import Annotated

import typer

from lambdaagent.cli.printing import Format, print_documents
from lambdaagent.kube import rights


def register(app: typer.Typer) -> None:
    app.command()(rbac)


def rbac(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where the processes run.")] = rights.NAMESPACE,
    output: Annotated[Format, typer.Option("--output", "-o", help="Form of the output.")] = Format.YAML,
) -> None:
    """Print the ServiceAccounts, roles and bindings that the operator and the gateway need, and the tiers for users."""
    print_documents(rights.documents(namespace=namespace), output)
