"""`lambdaagent access`, `key` and `token`: explain decisions and make credentials. None opens a kubeconfig."""

from pathlib import Path
from typing import Annotated

import typer

from lambdaagent.cli.gateway_client import Token, TokenFile
from lambdaagent.cli.groups import Group

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH...]", help="Files or directories with LambdaAgents; none with --gateway."),
]
Gateway = Annotated[str, typer.Option(help="URL of a gateway that decides, in place of files.")]
AccessFile = Annotated[
    str, typer.Option("--access-file", envvar="LAMBDAAGENT_ACCESS_FILE", help="The installation's access file.")
]
Agent = Annotated[str, typer.Option(help="The agent, as NAMESPACE/NAME.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of documents that name none.")]
As = Annotated[
    str,
    typer.Option(
        "--as",
        help="The caller, as corp:alice or key:ci; default: anonymous, or at a gateway whoever has the credential.",
    ),
]
Groups = Annotated[list[str] | None, typer.Option("--group", help="A group of the caller; may be repeated.")]
Claims = Annotated[
    list[str] | None, typer.Option("--claim", metavar="NAME=VALUE", help="A claim of its token; may be repeated.")
]
Doing = Annotated[str, typer.Option("--action", help="invoke, read, cancel, push, card or discover.")]
Skill = Annotated[str, typer.Option(help="The skill that is called; default: the agent as a whole.")]

access = typer.Typer(cls=Group, no_args_is_help=True, help="Explain who may call which agent.")
key = typer.Typer(cls=Group, no_args_is_help=True, help="Make and revoke API keys.")
token = typer.Typer(cls=Group, no_args_is_help=True, help="Make and inspect short-lived tokens.")


def register(app: typer.Typer) -> None:
    app.add_typer(access, name="access")
    app.add_typer(key, name="key")
    app.add_typer(token, name="token")


@access.command()
def explain(
    paths: Files = None,
    agent: Agent = "",
    caller: As = "",
    group: Groups = None,
    claim: Claims = None,
    action: Doing = "invoke",
    skill: Skill = "",
    access_file: AccessFile = "",
    namespace: Namespace = "default",
    gateway: Gateway = "",
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Print what the gateway would decide about a caller, and by which rule."""
    from lambdaagent.cli import access_rules

    asked = access_rules.Asked(agent, caller, group or [], claim or [], action, skill)
    where = access_rules.Where(paths or [], access_file, namespace, gateway, token, token_file)
    access_rules.explain(asked, where)


@access.command("can-i")
def can_i(
    paths: Files = None,
    agent: Agent = "",
    caller: As = "",
    group: Groups = None,
    claim: Claims = None,
    action: Doing = "invoke",
    skill: Skill = "",
    access_file: AccessFile = "",
    namespace: Namespace = "default",
    gateway: Gateway = "",
    token: Token = "",
    token_file: TokenFile = "",
) -> None:
    """Print yes or no; exit with code 1 if the answer is no."""
    from lambdaagent.cli import access_rules

    asked = access_rules.Asked(agent, caller, group or [], claim or [], action, skill)
    where = access_rules.Where(paths or [], access_file, namespace, gateway, token, token_file)
    access_rules.can_i(asked, where)


@access.command()
def check(file: Annotated[str, typer.Argument(metavar="FILE", help="The access file.")]) -> None:
    """Check an access file and the files that it names; exit with code 2 at the first error."""
    from lambdaagent.cli import access_rules

    access_rules.check(file)


@key.command("create")
def create_key(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Name of the key's owner, such as ci.")],
) -> None:
    """Print a new API key, and on standard error its entry for the access file, which holds only the key's hash."""
    from lambdaagent.cli import credentials

    credentials.create_key(id_)


@key.command("revoke")
def revoke_key(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The access file, or the file of keys that it names.")],
    id_: Annotated[str, typer.Option("--id", help="Owner whose keys are all removed.")] = "",
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File with the one key that is removed; - for standard input.")
    ] = None,
) -> None:
    """Remove API keys from a file, whose comments stay; give either --id or --key-file."""
    from lambdaagent.cli import credentials, revoking
    from lambdaagent.errors import UsageError

    if bool(id_) == (key_file is not None):
        raise UsageError("give either --id or --key-file")
    revoking.revoke(file, id_=id_, key=credentials.read_key(key_file) if key_file is not None else "")


@token.command("create")
def create_token(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the HMAC key in the access file.")],
    key_file: Annotated[Path, typer.Option(help="File with the key: 32 bytes or more.")],
    minutes: Annotated[int, typer.Option(min=1, max=24 * 60, help="Minutes for which the token is valid.")] = 60,
) -> None:
    """Print a token that is signed with an HMAC key of the installation."""
    from lambdaagent.cli import credentials

    credentials.create_token(id_, key_file, minutes)


@token.command()
def inspect(
    given: Annotated[str, typer.Argument(metavar="TOKEN", help="The token, or - for standard input.")] = "-",
) -> None:
    """Print a token's header and claims; its signature is not verified."""
    from lambdaagent.cli import credentials

    credentials.inspect(given)
