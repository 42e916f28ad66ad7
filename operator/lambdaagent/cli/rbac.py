"""`lambdaagent rbac`: prints the accounts and roles that an installation's code needs; opens no kubeconfig."""

from typing import Annotated

import typer

from lambdaagent.cli.printing import Format, print_documents
from lambdaagent.errors import UsageError


def register(app: typer.Typer) -> None:
    app.command()(rbac)


def rbac(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Where the processes run; default: lambdaagent-system.")
    ] = "",
    namespaces: Annotated[
        str, typer.Option(help="The only ones whose agents they look after, comma separated; default: all.")
    ] = "",
    output: Annotated[Format, typer.Option("--output", "-o", help="Form of the output.")] = Format.YAML,
) -> None:
    """Print the ServiceAccounts, roles and bindings that the processes need, and the tiers for users."""
    from lambdaagent.kube import rights
    from lambdaagent.settings import parse_namespaces

    try:
        only = parse_namespaces(namespaces)
    except ValueError as problem:
        raise UsageError(f"--namespaces: {problem}") from None
    print_documents(rights.documents(namespace=namespace or rights.NAMESPACE, namespaces=only), output)
