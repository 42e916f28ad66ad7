"""Implements the commands of `lambdaagent events dlq`."""

import asyncio
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import typer

from lambdaagent.cli.dlq.letters import Found, LetterFilter, Redrive, Visit, shown
from lambdaagent.cli.dlq.output_format import Form
from lambdaagent.cli.dlq.printing import UNITS, data_of, print_rows
from lambdaagent.cli.dlq.sources import newest, walk
from lambdaagent.cli.printing import print_json, print_names, say, yaml_text
from lambdaagent.errors import LambdaAgentError, UsageError
from lambdaagent.events.event_urls import hide


def print_newest(wanted: LetterFilter, limit: int, output: Form, data: Path | None) -> None:
    found = asyncio.run(newest(wanted, limit + 1, data=data))
    if len(found) > limit:
        say(f"there are more than {limit} dead letters; use --limit to print more")
    print_rows([shown(letter) for letter in found[:limit]], output)


def show(letter_id: str, namespace: str, output: Form, data: Path | None) -> None:
    wanted = LetterFilter(namespace, ids=frozenset([letter_id]))
    seen: list[Found] = []

    async def visit(letter: Found, _: Redrive) -> bool:
        seen.append(letter)
        return False

    asyncio.run(walk(wanted, visit, data=data))
    if not seen:
        raise _gone([letter_id])
    if output is Form.NAME:
        print_names([letter_id])
        return
    if output is Form.TABLE:
        print_rows([shown(seen[0])], output)
        return
    attributes = {name: hide(value) if isinstance(value, str) else value for name, value in seen[0].attributes.items()}
    document = shown(seen[0]) | {"attributes": attributes} | data_of(seen[0].data)
    print_json(document) if output is Form.JSON else typer.echo(yaml_text(document), nl=False)


def redrive(wanted: LetterFilter, data: Path | None) -> None:
    failed: dict[str, str] = {}
    done: list[str] = []

    async def visit(letter: Found, again: Redrive) -> bool:
        why = await again()
        if why:
            failed[letter.id] = why
        else:
            done.append(letter.id)
        return not why

    _finish("redriven", wanted, data, visit, done, failed)


def drop(wanted: LetterFilter, data: Path | None, *, ask: bool) -> None:
    done: list[str] = []
    if ask:
        count = len(wanted.ids) or len(asyncio.run(newest(wanted, None, data=data)))
        if not _agreed(f"Drop {count} dead letter{'s' * (count != 1)} for good? [y/N] "):
            say("nothing was dropped; use --yes to drop without confirmation")
            raise typer.Exit(1)

    async def visit(letter: Found, _: Redrive) -> bool:
        done.append(letter.id)
        return True

    _finish("dropped", wanted, data, visit, done, {})


def _agreed(question: str) -> bool:
    """Ask on standard error, so that standard output contains only the result."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _finish(
    what: str, wanted: LetterFilter, data: Path | None, visit: Visit, done: list[str], failed: dict[str, str]
) -> None:
    try:
        asyncio.run(walk(wanted, visit, data=data))
    except LambdaAgentError:
        say(f"{len(done)} {what} before the failure; the last of them may still be listed")
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
        f"no dead letter {', '.join(ids)}: it may have been redriven or dropped, or be in another namespace; see "
        f"`lambdaagent events dlq list`"
    )


def chosen(ids: list[str] | None, filters: LetterFilter) -> LetterFilter:
    if ids and filters != LetterFilter(filters.namespace):
        raise UsageError("with IDs, only the filter --namespace is allowed; use the others with --all")
    return LetterFilter(filters.namespace, ids=frozenset(ids)) if ids else filters


def wanted(namespace: str, agent: str, type_: str, older_than: str, newer_than: str) -> LetterFilter:
    now = time.time()
    before = now - _seconds("--older-than", older_than) if older_than else None
    since = now - _seconds("--newer-than", newer_than) if newer_than else None
    return LetterFilter(namespace, agent, type_, since, before)


def _seconds(option: str, text: str) -> float:
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise UsageError(f"{option} {text}: use a number and s, m, h or d, as in 2h")
    return float(match[1]) * UNITS[match[2]]
