"""`lambdaagent rbac`: prints the accounts and roles that an installation's code needs; opens no kubeconfig."""

from typing import Annotated

import typer

from lambdaagent.cli.printing import Format, print_documents
from lambdaagent.errors import UsageError


def register(app: typer.Typer) -> None:
    app.command()(rbac)


def rbac(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Namespace of the processes; default: lambdaagent-system.")
    ] = "",
    namespaces: Annotated[
        str, typer.Option(help="The only namespaces whose agents are served, separated by commas; default: all.")
    ] = "",
    output: Annotated[Format, typer.Option("--output", "-o", help="Output format.")] = Format.YAML,
) -> None:
    """Print the ServiceAccounts, roles and bindings that the processes need, and the roles for users."""
    from lambdaagent.kube import rights
    from lambdaagent.settings import parse_namespaces

    try:
        only = parse_namespaces(namespaces)
    except ValueError as problem:
        raise UsageError(f"--namespaces: {problem}") from None
    print_documents(rights.documents(namespace=namespace or rights.NAMESPACE, namespaces=only), output)
