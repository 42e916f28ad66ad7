"""`lambdaagent events dlq`: what could not be delivered, looked at, tried again, or dropped.

It reads RabbitMQ and the database with the processes' own settings and is no part of the gateway's HTTP: who may run it
is decided by who may enter the pod (decision 0014).
"""

import asyncio
import re
import sys
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from lambdaagent.cli.dlq.letters import Found, Redrive, Visit, Wanted, shown
from lambdaagent.cli.dlq.printing import UNITS, Form, data_of, print_rows
from lambdaagent.cli.dlq.sources import newest, walk
from lambdaagent.cli.printing import print_json, say, yaml_text
from lambdaagent.errors import LambdaAgentError, UsageError
from lambdaagent.events.destinations import hide

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="As `list` prints them.")]
All = Annotated[bool, typer.Option("--all", help="All that the filters let through.")]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="Default: every one of the database, LAMBDAAGENT_NAMESPACES's queues.")
]
Agent = Annotated[str, typer.Option(help="NAME, or NAMESPACE/NAME.")]
Type = Annotated[str, typer.Option("--type", help="The event's type.")]
Older = Annotated[str, typer.Option(help="Died before then, as in 30m, 2h, 7d.")]
Newer = Annotated[str, typer.Option(help="Died after then, as in 30m, 2h, 7d.")]
Output = Annotated[Form, typer.Option("--output", "-o", help="Form of the output.")]

app = typer.Typer(no_args_is_help=True, help="Events that could not be delivered.")


@app.command("list")
def list_(
    namespace: Namespace = "",
    agent: Agent = "",
    type_: Type = "",
    older_than: Older = "",
    newer_than: Newer = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    output: Output = Form.TABLE,
) -> None:
    """Print dead letters, the newest first."""
    wanted = _wanted(namespace, agent, type_, older_than, newer_than)
    found = asyncio.run(newest(wanted, limit + 1))
    if len(found) > limit:
        say(f"there are more than {limit}: see --limit")
    print_rows([shown(letter) for letter in found[:limit]], output)


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID")],
    namespace: Namespace = "",
    output: Output = Form.YAML,
) -> None:
    """Print one dead letter whole, with its event's attributes and data."""
    wanted = Wanted(namespace, ids=frozenset([letter_id]))
    seen: list[Found] = []

    async def visit(letter: Found, _: Redrive) -> bool:
        seen.append(letter)
        return False

    asyncio.run(walk(wanted, visit))
    if not seen:
        raise _gone([letter_id])
    if output is Form.TABLE:
        print_rows([shown(seen[0])], output)
        return
    attributes = {name: hide(value) if isinstance(value, str) else value for name, value in seen[0].attributes.items()}
    document = shown(seen[0]) | {"attributes": attributes} | data_of(seen[0].data)
    print_json(document) if output is Form.JSON else typer.echo(yaml_text(document), nl=False)


@app.command()
def redrive(
    ids: Ids = None,
    all_: All = False,
    namespace: Namespace = "",
    agent: Agent = "",
    type_: Type = "",
    older_than: Older = "",
    newer_than: Newer = "",
) -> None:
    """Bring dead letters to their agents again; one goes when RabbitMQ or the gateway has confirmed it."""
    wanted = _chosen(ids, all_, _wanted(namespace, agent, type_, older_than, newer_than))
    failed: dict[str, str] = {}
    done: list[str] = []

    async def visit(letter: Found, again: Redrive) -> bool:
        why = await again()
        if why:
            failed[letter.id] = why
        else:
            done.append(letter.id)
        return not why

    _finish("redriven", wanted, visit, done, failed)


@app.command()
def drop(
    ids: Ids = None,
    all_: All = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    namespace: Namespace = "",
    agent: Agent = "",
    type_: Type = "",
    older_than: Older = "",
    newer_than: Newer = "",
) -> None:
    """Remove dead letters for good."""
    wanted = _chosen(ids, all_, _wanted(namespace, agent, type_, older_than, newer_than))
    done: list[str] = []
    if not yes:
        count = len(wanted.ids) or len(asyncio.run(newest(wanted, None)))
        if not _agreed(f"Drop {count} dead letter{'s' * (count != 1)} for good? [y/N] "):
            say("nothing was dropped; --yes says so without being asked")
            raise typer.Exit(1)

    async def visit(letter: Found, _: Redrive) -> bool:
        done.append(letter.id)
        return True

    _finish("dropped", wanted, visit, done, {})


def _agreed(question: str) -> bool:
    """Asked on standard error, so that standard output holds the outcome alone."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _finish(what: str, wanted: Wanted, visit: Visit, done: list[str], failed: dict[str, str]) -> None:
    try:
        asyncio.run(walk(wanted, visit))
    except LambdaAgentError:
        say(f"{len(done)} {what} before it failed; the last of them may lie there still")
        raise
    for letter_id, why in failed.items():
        say(f"{letter_id} was not {what}: {why}")
    typer.echo(f"{len(done)} {what}" + (f", {len(failed)} not" if failed else ""))
    if missing := sorted(wanted.ids - set(done) - failed.keys()):
        raise _gone(missing)
    if failed:
        raise typer.Exit(1)


def _gone(ids: Sequence[str]) -> LambdaAgentError:
    return LambdaAgentError(
        f"no dead letter {', '.join(ids)}: it may have been redriven or dropped, or lie in another namespace; see "
        f"`lambdaagent events dlq list`"
    )


def _chosen(ids: list[str] | None, all_: bool, filters: Wanted) -> Wanted:
    if bool(ids) == all_:
        raise UsageError("say either the IDs of letters or --all" + (", not both" if ids else ""))
    if ids and filters != Wanted(filters.namespace):
        raise UsageError("filters go with --all; with IDs there is only --namespace")
    return Wanted(filters.namespace, ids=frozenset(ids)) if ids else filters


def _wanted(namespace: str, agent: str, type_: str, older_than: str, newer_than: str) -> Wanted:
    now = time.time()
    before = now - _seconds("--older-than", older_than) if older_than else None
    since = now - _seconds("--newer-than", newer_than) if newer_than else None
    return Wanted(namespace, agent, type_, since, before)


def _seconds(option: str, text: str) -> float:
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise UsageError(f"{option} {text}: use a number and s, m, h or d, as in 2h")
    return float(match[1]) * UNITS[match[2]]
