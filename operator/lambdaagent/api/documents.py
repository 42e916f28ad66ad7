"""Reads LambdaAgent documents from YAML text, with the line of each field.

YAML is read as the Kubernetes tools read it: dates stay strings, and a duplicate key is an error. Documents of other
API groups are marked as such and become warnings; an unknown kind or version of our own group is an error.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from lambdaagent.api.base import API_VERSION, GROUP, KIND
from lambdaagent.api.unknown_fields import Path
from lambdaagent.api.validation import SpecProblem


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key is neither a word nor a number", problem_mark=key_node.start_mark
                )
            key = key_node.value
            if key in seen and key != "<<":
                raise yaml.MarkedYAMLError(problem=f"key {key!r} occurs twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document that is an object; `index` counts from 1, as people do."""

    file: str
    index: int
    obj: dict[str, Any]
    node: yaml.Node = field(repr=False, compare=False)

    @property
    def ours(self) -> bool:
        return str(self.obj.get("apiVersion", "")).partition("/")[0] == GROUP

    @property
    def title(self) -> str:
        metadata = self.obj.get("metadata")
        name = metadata.get("name", "?") if isinstance(metadata, dict) else "?"
        return f"{self.obj.get('kind', 'object')}/{name}"

    def line(self, path: Path) -> int:
        """Return the line of the deepest part of the path that exists in the text."""
        node, line = self.node, self.node.start_mark.line
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = next((pair for pair in node.value if pair[0].value == part), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line
            else:
                break
        return int(line) + 1


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem or warning with its place: `file:line: [document N] path: message`."""

    file: str
    line: int
    document: int
    problem: SpecProblem

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: document {self.document}: {self.problem}"


def read(text: str, *, file: str, split: bool = True) -> tuple[list[Document], list[Finding]]:
    """Return all documents that are objects, and the errors of the YAML itself. `split` Lists into their items."""
    documents: list[Document] = []
    index = 0
    try:
        loader = _Loader(text)
        while loader.check_node():
            index += 1
            node = loader.get_node()
            obj = loader.construct_document(node)
            if obj is None or node is None:
                continue
            if not isinstance(obj, dict):
                problem = SpecProblem((), f"is a {type(obj).__name__}, not an object", "begin with apiVersion and kind")
                return documents, [Finding(file, node.start_mark.line + 1, index, problem)]
            document = Document(file, index, obj, node)
            documents += _items(document) if split else [document]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"is not YAML: {error.problem or error.context}"
        return documents, [Finding(file, mark.line + 1 if mark else 1, max(index, 1), SpecProblem((), message))]
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:  # of `!!timestamp x`, too
        return documents, [
            Finding(file, 1, max(index, 1), SpecProblem((), f"is not YAML: {str(error).splitlines()[0]}"))
        ]
    return documents, []


def _items(document: Document) -> Iterator[Document]:
    items = document.obj.get("items")
    if not (document.obj.get("kind") == "List" and isinstance(items, list)):
        yield document
        return
    nodes: list[yaml.Node] = next((value.value for key, value in document.node.value if key.value == "items"), [])
    for item, node in zip(items, nodes, strict=False):
        if isinstance(item, dict):
            yield Document(document.file, document.index, item, node)


def kind_problem(document: Document) -> SpecProblem | None:
    """Return the problem of a document of our group with another kind or version than the only one, else None."""
    version, kind = document.obj.get("apiVersion"), document.obj.get("kind")
    if version != API_VERSION:
        return SpecProblem(("apiVersion",), f"unknown version {version!r}", f"use {API_VERSION}")
    if kind != KIND:
        return SpecProblem(("kind",), f"unknown kind {kind!r} in {GROUP}", f"use {KIND}")
    return None
