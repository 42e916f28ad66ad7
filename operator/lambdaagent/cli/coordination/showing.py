"""Prints what a gateway answered: as a table, JSON, YAML or names, once or again whenever it changes."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import typer

from lambdaagent.cli.coordination.client import Json
from lambdaagent.cli.printing import one_line, print_json, print_names, print_table, say, yaml_text
from lambdaagent.cli.tools import Form
from lambdaagent.errors import TemporaryError

_SECONDS = 2.0  # between two looks
_LONGEST = 80  # characters of a column
_MOST = 100_000  # things that a watch remembers


@dataclass(frozen=True, slots=True)
class View:
    """What of a thing the table shows: a title for each column, and the field under it."""

    columns: Mapping[str, str]
    key: str  # the field that tells one thing from another

    def row(self, item: Json) -> tuple[str, ...]:
        return tuple(_cell(item.get(name)) for name in self.columns.values())


def one(item: Json, view: View, form: Form) -> None:
    if form is Form.TABLE:
        print_table(tuple(view.columns), [view.row(item)])
    elif form is Form.NAME:
        print_names([str(item.get(view.key))])
    else:
        _document(item, form)


def many(items: Sequence[Json], view: View, form: Form) -> None:
    if form is Form.NAME:
        print_names(str(each.get(view.key)) for each in items)
    elif form is not Form.TABLE:
        _document({"items": list(items)}, form)
    elif items:
        print_table(tuple(view.columns), [view.row(each) for each in items])
    else:
        say("nothing found")


def listed(look: Callable[[], Sequence[Json]], view: View, form: Form, *, watch: bool) -> None:
    if watch:
        watched(look, view, form)
    else:
        many(look(), view, form)


def followed(look: Callable[[], Json], view: View, form: Form, *, ended: Sequence[str], good: str) -> None:
    """Print a thing whenever it has changed, until its status is one of `ended`; exit with code 1 if not `good`."""
    last: Json = {}

    def once() -> list[Json]:
        last.update(look())
        return [dict(last)]

    watched(once, view, form, ended=lambda found: found["status"] in ended, wait=0.5)
    if last["status"] != good:
        raise typer.Exit(1)


def watched(
    look: Callable[[], Iterable[Json]],
    view: View,
    form: Form,
    *,
    ended: Callable[[Json], bool] | None = None,
    wait: float = _SECONDS,
    after: Callable[[Json], None] | None = None,
) -> None:
    """Print each thing when it is new and whenever it has changed, until the one that is watched has ended.

    `after` is called for each thing once it is printed.
    """
    changes = Changes(view, form)
    try:
        while True:
            for item in _tried(look):
                changes.show(item)
                if after is not None:
                    after(item)
                if ended is not None and ended(item):
                    return
            time.sleep(wait)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _tried(look: Callable[[], Iterable[Json]]) -> list[Json]:
    """Return what is there; nothing while the gateway cannot be reached, which a watch outlives."""
    try:
        return list(look())
    except TemporaryError as error:
        say(f"{error}; it is tried again")
        return []


class Changes:
    """Prints things that are new or have changed. Columns grow with what is printed: what comes later is not known."""

    def __init__(self, view: View, form: Form) -> None:
        self._view = view
        self._form = form
        self._known: dict[str, bytes] = {}
        self._widths = [len(each) for each in view.columns]

    def show(self, item: Json) -> None:
        key, state = str(item.get(self._view.key)), orjson.dumps(item)
        if self._known.get(key) == state:
            return
        self._print(item)
        self._known[key] = state
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def _print(self, item: Json) -> None:
        if self._form is Form.JSON:
            print_json(item, indent=None)
        elif self._form is Form.NAME:
            print_names([str(item.get(self._view.key))])
        elif self._form is Form.YAML:
            sys.stdout.write("---\n" + yaml_text(item))
        else:
            row = [one_line(value) or "-" for value in self._view.row(item)]
            self._widths = [max(width, len(value)) for width, value in zip(self._widths, row, strict=True)]
            for line in [row] if self._known else [list(self._view.columns), row]:
                text = "   ".join(f"{value:{width}}" for value, width in zip(line, self._widths, strict=True))
                sys.stdout.write(text.rstrip() + "\n")
        sys.stdout.flush()


def _document(document: Any, form: Form) -> None:
    if form is Form.JSON:
        print_json(document)
    else:
        typer.echo(yaml_text(document), nl=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        text = ",".join(value)
    else:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
