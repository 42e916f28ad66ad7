"""Implements `key revoke`: removes API keys from the text of an access file, or of a file of keys that it names.

Comments and order stay. Invariant: the file is written only if its new content is the old one without these keys.
"""

import tempfile
from pathlib import Path

import yaml

from lambdaagent.access.installation import AccessFileError, parse
from lambdaagent.api import documents
from lambdaagent.cli.printing import say
from lambdaagent.errors import UsageError
from lambdaagent.identity import api_keys
from lambdaagent.identity.reading import read_text

_FIELD = "apiKeys"


def revoke(file: str, *, id_: str, key: str) -> None:
    """Remove the keys of an owner, or one key. Raises UsageError."""
    text = read_text(file)
    found, findings = documents.read(text, file=file, split=False)
    if findings or len(found) != 1:
        parse(text, file=file)  # says what is wrong
        raise AccessFileError(f"{file} is no single YAML document")
    listed = found[0].obj.get(_FIELD)
    entries = listed if isinstance(listed, list) else []
    wanted = {"sha256": api_keys.hash_of(key)} if key else {"id": id_}
    places = [place for place, each in enumerate(entries) if _has(each, wanted)]
    if not places:
        what = "that key" if key else f"a key with the id {id_}"
        raise UsageError(f"{file} has no {what} in {_FIELD}; keys may be in a file that it names, or be gone already")
    changed = _without(text, found[0].node, places)
    kept = [each for place, each in enumerate(entries) if place not in places]
    if changed is None or _content(changed) != found[0].obj | {_FIELD: kept}:
        lines = ", ".join(str(found[0].line((_FIELD, place))) for place in places)
        raise UsageError(f"{file} is written in a form that is not changed here; remove the entries of line {lines}")
    _replace(Path(file), changed)
    say(
        f"{len(places)} of {len(entries)} keys removed from {file}; the gateway refuses them a few seconds after it has"
    )
    say("the file: apply its ConfigMap or Secret (the kubelet takes up to a minute), or run helm upgrade")


def _has(entry: object, wanted: dict[str, str]) -> bool:
    return isinstance(entry, dict) and wanted.items() <= entry.items()


def _without(text: str, document: yaml.Node, places: list[int]) -> str | None:
    """Return the text without some entries of the list; None if they have no lines of their own."""
    pairs = document.value if isinstance(document, yaml.MappingNode) else ()
    key, node = next((pair for pair in pairs if pair[0].value == _FIELD), (None, None))
    if key is None or not isinstance(node, yaml.SequenceNode) or node.flow_style:
        return None
    lines, starts = text.splitlines(keepends=True), [item.start_mark.line for item in node.value]
    ends = [*starts[1:], _end(lines, node)]
    if len(places) == len(starts):
        return "".join([*lines[: key.start_mark.line], f"{_FIELD}: []\n", *lines[ends[-1] :]])
    gone = {line for place in places for line in range(starts[place], ends[place])}
    return "".join(line for number, line in enumerate(lines) if number not in gone)


def _end(lines: list[str], node: yaml.Node) -> int:
    """Return the line after the last entry; empty lines and comments that follow it stay."""
    end: int = node.end_mark.line if node.end_mark.column == 0 else node.end_mark.line + 1
    while end > node.start_mark.line + 1 and lines[end - 1].lstrip()[:1] in ("", "#"):
        end -= 1
    return end


def _content(text: str) -> object:
    found, findings = documents.read(text, file="", split=False)
    return found[0].obj if len(found) == 1 and not findings else None


def _replace(file: Path, text: str) -> None:
    """Write the file at once: a gateway may read it at any time."""
    made: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8", newline="") as new:
            made = Path(new.name)
            new.write(text)
        made.chmod(file.stat().st_mode)
        made.replace(file.resolve())
    except OSError as error:
        if made is not None:
            made.unlink(missing_ok=True)
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
