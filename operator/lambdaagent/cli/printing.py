"""Prints documents to standard output and everything else to standard error, so that output can be piped."""

import io
import json
import re
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

# What changes a terminal or the order of the text on it, and JSON does not escape: DEL, C1 and Unicode's bidi controls.
HIDDEN = "\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_HIDDEN = re.compile(f"[{HIDDEN}]")


class Format(StrEnum):
    YAML = "yaml"
    JSON = "json"


def yaml_text(document: Any) -> str:
    from lambdaagent.cli.yaml_form import dump

    return dump(document)


def print_documents(documents: list[dict[str, Any]], form: Format) -> None:
    """Print a YAML stream, or a List in JSON."""
    if form is Format.YAML:
        sys.stdout.write("---\n".join(map(yaml_text, documents)))
    else:
        print_json({"apiVersion": "v1", "kind": "List", "items": documents})


def print_json(document: Any, *, indent: int | None = 2) -> None:
    """Print a document; with `indent` None, as one line. What a terminal would obey is escaped."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(document, indent=indent, ensure_ascii=not is_unicode(), separators=separators)
    sys.stdout.write(f"{escape_hidden(text)}\n")


def escape_hidden(text: str) -> str:
    """Return JSON, or YAML with such text in double quotes, in which hidden characters are escaped."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_unicode() -> bool:
    """Return whether standard output takes every character."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def escape_unencodable() -> None:
    """Have characters that the encoding of the output lacks written as escapes, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def print_names(names: Iterable[str]) -> None:
    """Print one name a line, as arguments of other commands need them."""
    for name in names:
        sys.stdout.write(f"{one_line(name)}\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in kubectl's form, so that they can be cut and sorted. Each value is one line: others choose it, and a
    terminal would obey control characters.
    """
    lines = [tuple(columns), *(tuple(one_line(value) or "-" for value in row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        text = "   ".join(f"{value:{width}}" for value, width in zip(line, widths, strict=True)).rstrip()
        sys.stdout.write(f"{text}\n")


def one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
