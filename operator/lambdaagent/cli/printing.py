"""Documents to standard output, everything else to standard error, so that output can be piped."""

import json
import sys
from enum import StrEnum
from typing import Any

import yaml


class Format(StrEnum):
    YAML = "yaml"
    JSON = "json"


class _Dumper(yaml.SafeDumper):
    """Readable: block style for text of several lines, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def yaml_text(document: Any) -> str:
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def print_documents(documents: list[dict[str, Any]], form: Format) -> None:
    """A YAML stream, or a List in JSON."""
    if form is Format.YAML:
        sys.stdout.write("---\n".join(map(yaml_text, documents)))
    else:
        print_json({"apiVersion": "v1", "kind": "List", "items": documents})


def print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
