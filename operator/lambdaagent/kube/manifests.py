"""Reads LambdaAgents from manifest files, directories and standard input.

All errors are collected with their places before any agent is used. Documents of other API groups are kept apart:
`dev` resolves references to Secrets and ConfigMaps among them.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lambdaagent.api import agent as agents
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.documents import Document, Finding, kind_problem, read
from lambdaagent.api.validation import SpecProblem, problems
from lambdaagent.errors import UsageError

STANDARD_INPUT = "(standard input)"
SUFFIXES = (".yaml", ".yml", ".json")
_NOT_OURS = ("node_modules", "__pycache__", "venv", "site-packages")


@dataclass(slots=True)
class Manifests:
    agents: list[LambdaAgent] = field(default_factory=list)
    places: dict[tuple[str, str], Finding] = field(default_factory=dict)
    errors: list[Finding] = field(default_factory=list)
    skipped: list[Finding] = field(default_factory=list)
    others: list[Document] = field(default_factory=list)


def files(paths: Sequence[str]) -> list[Path]:
    """Return the manifest files under the paths; those of a directory are sorted. Raises UsageError if a path does not
    exist or has no manifest.

    Hidden directories and those of package managers are left out, but a path that is named is read.
    """
    found: list[Path] = []
    for name in paths:
        path = Path(name)
        if name == "-" or path.is_file():
            found.append(path)
        elif path.is_dir():
            inside = sorted(_inside(path))
            if not inside:
                raise UsageError(f"{name}: no {', '.join(SUFFIXES)} file in it; name a file or another directory")
            found += inside
        else:
            raise UsageError(
                f"{name}: no such file or directory; name a manifest, a directory, or - for standard input"
            )
    return found


def _inside(path: Path) -> Iterator[Path]:
    """Yield the manifest files of a directory, without those of directories that hold no files of the user's own."""
    for root, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _NOT_OURS]
        yield from (Path(root, name) for name in names if Path(name).suffix in SUFFIXES and Path(root, name).is_file())


def folder(found: Manifests, agent: LambdaAgent) -> Path:
    """Return the directory of the agent's file; the current directory for standard input."""
    file = found.places[agent.namespace, agent.name].file
    return Path.cwd() if file == STANDARD_INPUT else Path(file).resolve().parent


def load(paths: Sequence[str], *, namespace: str = "default", strict: bool = True) -> Manifests:
    """Read all documents. `namespace` is for those that name none; with `strict`, unknown fields are errors."""
    out = Manifests()
    for path in files(paths):
        name = STANDARD_INPUT if str(path) == "-" else str(path)
        try:
            text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            out.errors.append(Finding(name, 1, 1, SpecProblem((), f"cannot be read: {error}")))
            continue
        documents, broken = read(text, file=name)
        out.errors += broken
        for document in documents:
            _sort_in(out, document, namespace=namespace, strict=strict)
    return out


def _sort_in(out: Manifests, document: Document, *, namespace: str, strict: bool) -> None:
    def finding(problem: SpecProblem) -> Finding:
        return Finding(document.file, document.line(problem.path), document.index, problem)

    if not document.ours:
        out.others.append(document)
        if document.obj.get("kind") not in ("Secret", "ConfigMap"):
            out.skipped.append(finding(SpecProblem((), f"{document.title} is not a LambdaAgent; skipped")))
        return
    if problem := kind_problem(document):
        out.errors.append(finding(problem))
        return
    wrong = problems(document.obj, strict=strict)
    if wrong:
        out.errors += map(finding, wrong)
        return
    metadata = {"namespace": namespace, **document.obj["metadata"]}
    agent = agents.parse({**document.obj, "metadata": metadata})
    place = finding(SpecProblem(("metadata", "name"), f"LambdaAgent {agent.key}"))
    first = out.places.setdefault((agent.namespace, agent.name), place)
    if first is not place:
        where = f"{first.file}:{first.line}, document {first.document}"
        hint = "rename or remove one of them"
        out.errors.append(
            finding(SpecProblem(("metadata", "name"), f"{agent.key} is already defined at {where}", hint))
        )
        return
    out.agents.append(agent)
