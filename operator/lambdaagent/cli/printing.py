"""Prints documents to standard output and everything else to standard error, so that output can be piped."""

import json
import sys
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
