"""Prints documents to standard output and everything else to standard error, so that output can be piped."""

import json
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any


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


def print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


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
