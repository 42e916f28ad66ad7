"""The names and fields of log events, and the page that explains them, are held against the source."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "operator/lambdaagent"
NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
# `log.exception` logs an error with its traceback; so does `exc_info`.
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


@dataclass
class Event:
    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


def calls(node: ast.AST) -> Iterator[ast.Call]:
    for each in ast.walk(node):
        if (
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and ast.unparse(each.func.value) == "log"
        ):
            yield each


def names(argument: ast.expr) -> list[str]:
    """The names that the first argument may have: a literal, or one of two."""
    if isinstance(argument, ast.IfExp):
        return [*names(argument.body), *names(argument.orelse)]
    assert isinstance(argument, ast.Constant) and isinstance(argument.value, str), ast.unparse(argument)
    return [argument.value]


def in_source() -> dict[str, Event]:
    found: dict[str, Event] = {}
    for path in SOURCE.rglob("*.py"):
        for call in calls(ast.parse(path.read_text())):
            assert isinstance(call.func, ast.Attribute)
            method = call.func.attr
            for name in names(call.args[1] if method == "log" else call.args[0]):
                event = found.setdefault(name, Event())
                event.levels |= {LEVELS[method]} if method != "log" else {"info", "warning"}
                event.fields |= {str(keyword.arg) for keyword in call.keywords} | (
                    {"exc_info"} if method == "exception" else set()
                )
    return found


def on_page() -> dict[str, Event]:
    found: dict[str, Event] = {}
    for line in (ROOT / "docs/reference/logs.md").read_text().splitlines():
        if row := re.fullmatch(r"\| `([^`]+\.[^`]+)` \| ([a-z, ]+) \| ([^|]*)\| .+ \|", line):
            assert row[1] not in found, f"{row[1]} is explained twice"
            fields = {"exc_info" if name == "exception" else name for name in re.findall(r"`(\w+)`", row[3])}
            found[row[1]] = Event(set(row[2].split(", ")), fields)
    return found


EVENTS = in_source()


def test_the_page_explains_every_event_and_no_other() -> None:
    assert on_page() == EVENTS


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_has_the_form_noun_and_verb(name: str) -> None:
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("name", EVENTS)
def test_a_cause_has_one_key(name: str) -> None:
    assert not EVENTS[name].fields & {"problem", "problems", "why", "cause", "seconds"}
