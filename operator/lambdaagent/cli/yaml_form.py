"""The form of printed YAML. Separate from `printing`, so that commands that print none need not load it."""

from typing import Any

import yaml

from lambdaagent.cli.printing import escape_hidden, is_unicode


class _Dumper(yaml.SafeDumper):
    """Writes readable YAML: block style for text of several lines, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if escape_hidden(text) != text:
        style: str | None = '"'
    else:
        style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(document: Any) -> str:
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=is_unicode(), width=120)
    return escape_hidden(text)
