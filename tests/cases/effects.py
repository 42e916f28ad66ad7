"""Effects of a field: where an effect appears, its expected value, and its text in the reference.

An effect reads one value from what an agent leads to. The row of a field in `fields` is right if that value differs
between the agent without the field and the agent with it, and is the expected one.
"""

import ast
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from lambdaagent.a2a import cards
from lambdaagent.access import rules
from lambdaagent.access.actions import Action
from lambdaagent.access.decide import decide
from lambdaagent.access.principal import ANONYMOUS, Principal
from lambdaagent.api import agent as agents
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.validation import problems
from lambdaagent.children import topology
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.plan import Plan, plan
from lambdaagent.children.warning_reasons import WarningReason
from lambdaagent.containers import callee, requests
from lambdaagent.settings import Installation
from lambdaagent.status.conditions import World
from lambdaagent.status.decide import status

ROOT = Path(__file__).parents[2]
INSTALLATION = Installation(gateway_image="example.com/gateway:1")
BACKENDS = {"knative": Backends("knative", "knative"), "kubernetes": Backends("kubernetes", "rabbitmq")}
SAME = object()  # the expected value is that of the field
MESSAGE = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "a"}, {"text": "b"}]}
Document = dict[str, Any]


def parsed(document: Document) -> LambdaAgent:
    return agents.parse(document)


def planned(document: Document, backend: str) -> Plan:
    agent, other = parsed(document), parsed(_neighbour())
    observed = Observed(agents={(found.namespace, found.name): found for found in (agent, other)})
    return plan(agent, installation=INSTALLATION, backends=BACKENDS[backend], observed=observed)


def _neighbour() -> Document:
    """Returns an agent of another namespace; it forwards to the agent under test and accepts its forwards."""
    forward = {"eventTypes": ["back"], "targetAgent": "agent", "targetNamespace": "ai"}
    spec = {
        "image": {"repository": "example.com/ledger"},
        "eventing": {"forwards": [forward]},
        "permissions": {"allowedTargetNamespaces": ["ai"]},
    }
    return {"metadata": {"name": "ledger", "namespace": "finance"}, "spec": spec}


def reached(value: Any, path: str) -> Any:
    """Returns the value at a path of keys and indexes, or None; a tilde stands for a slash in a key."""
    for part in (part.replace("~", "/") for part in path.split("/")):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = (value or {}).get(part)
    return value


def _shown(path: str) -> str:
    return path.replace("/0/", "[]/").replace("/", ".").replace("~", "/")


class Effect:
    becomes: Any = SAME

    def look(self, document: Document, path: str) -> Any:
        """Returns the value in which the field at `path` shows its effect."""
        raise NotImplementedError

    def expected(self, value: Any) -> Any:
        return value if self.becomes is SAME else self.becomes

    def text(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True)
class Env(Effect):
    """A variable of the container; a field that names a Secret appears in the variable's reference."""

    name: str
    becomes: Any = SAME
    at: str = "value"
    says: str = ""

    def look(self, document: Document, path: str) -> Any:
        service = next(child.obj for child in planned(document, "knative").children if child.name == "agent")
        env = {entry["name"]: entry for entry in service["spec"]["template"]["spec"]["containers"][0]["env"]}
        return reached(env.get(self.name), self.at)

    def expected(self, value: Any) -> Any:
        if self.becomes is not SAME:
            return self.becomes
        if isinstance(value, list | dict):
            return json.dumps(value)
        return str(value).lower() if isinstance(value, bool) else str(value)

    def text(self) -> str:
        return self.says or f"variable `{self.name}`"


@dataclass(frozen=True)
class Child(Effect):
    """A value in a child object; None where there is none."""

    kind: str
    path: str
    becomes: Any = SAME
    on: str = "knative"
    of: str = ""  # part of the name, if there are several of the kind

    def look(self, document: Document, path: str) -> Any:
        found = [child for child in planned(document, self.on).children if child.kind[1] == self.kind]
        return next((reached(child.obj, self.path) for child in found if self.of in child.name), None)

    def text(self) -> str:
        title = "Knative Service" if self.kind == "Service" and self.on == "knative" and not self.of else self.kind
        if self.path == "kind":
            return f"whether there is a {title}"
        shown = _shown(self.path.removeprefix("spec/template/spec/containers/0/"))
        return f"{title}: `{shown}`" + (" (plain Kubernetes)" if self.on == "kubernetes" else "")


@dataclass(frozen=True)
class Queue(Effect):
    """A property of the agent's queue on plain RabbitMQ."""

    path: str
    becomes: Any = SAME

    def look(self, document: Document, path: str) -> Any:
        value: Any = topology.topology(parsed(document), INSTALLATION)
        for part in self.path.split("/"):
            value = getattr(value, part, None)
        return value

    def text(self) -> str:
        return f"delivery on plain RabbitMQ: {self.path.rpartition('/')[2]}"


@dataclass(frozen=True)
class Warned(Effect):
    """A warning of this reason that names the field or its block."""

    reason: WarningReason
    on: str = "knative"
    becomes: Any = True
    field: str = ""  # the field that the warning names, if it is another one

    def look(self, document: Document, path: str) -> Any:
        named = [
            re.sub(r"\[\d+\]", "[]", warning.field).removeprefix("spec.")
            for warning in planned(document, self.on).warnings
            if warning.reason == self.reason
        ]
        path = self.field or path
        return any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in named)

    def text(self) -> str:
        said = f"warning `{self.reason}`" + ("" if self.becomes else " unless false")
        return said + (" (plain Kubernetes)" if self.on == "kubernetes" else "")


@dataclass(frozen=True)
class Refused(Effect):
    """The refusal of other values, for a field with one allowed value."""

    becomes: Any = True

    def look(self, document: Document, path: str) -> Any:
        return any(re.sub(r"\[\d+\]", "[]", problem.field) == f"spec.{path}" for problem in problems(document))

    def text(self) -> str:
        return "other values are refused"


@dataclass(frozen=True)
class Status(Effect):
    path: str
    becomes: Any = SAME

    def look(self, document: Document, path: str) -> Any:
        said = status(
            parsed(document),
            previous={},
            plan=planned(document, "knative"),
            world=World(),
            installation=INSTALLATION,
            now=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return reached(said, self.path)

    def text(self) -> str:
        return f"`status.{self.path.replace('/', '.')}`"


@dataclass(frozen=True)
class Forwarded(Effect):
    """The verdict on the first forward of the agent, or of its neighbour that forwards to it."""

    becomes: Any
    theirs: bool = False

    def look(self, document: Document, path: str) -> Any:
        if not self.theirs:
            return [str(decision.verdict) for decision in planned(document, "knative").forwards][:1]
        own, other = parsed(document), parsed(_neighbour())
        observed = Observed(agents={(own.namespace, own.name): own, (other.namespace, other.name): other})
        made = plan(other, installation=INSTALLATION, backends=BACKENDS["knative"], observed=observed)
        return [str(decision.verdict) for decision in made.forwards]

    def text(self) -> str:
        return "condition `ForwardsResolved`" + (" of agents that forward here" if self.theirs else "")


@dataclass(frozen=True)
class Card(Effect):
    path: str
    becomes: Any = SAME

    def look(self, document: Document, path: str) -> Any:
        return reached(cards.card(parsed(document), shape=cards.Shape.V1, url="http://gateway"), self.path)

    def text(self) -> str:
        return f"card: `{_shown(self.path)}`"


@dataclass(frozen=True)
class Call(Effect):
    """A part of the request that the container gets for the first skill."""

    what: str
    becomes: Any = SAME

    def look(self, document: Document, path: str) -> Any:
        called = callee.callee(parsed(document), target=None)
        skill = next(iter(called.skills.values()), None)
        made = requests.for_message(
            called, skill=skill, message=MESSAGE, task_id="t", context_id="c", event_id="e", traceparent=None
        )
        fixed = dict(line.split(": ", 1) for line in made.fixed.splitlines())
        looks: dict[str, Callable[[], Any]] = {
            "path": lambda: made.path,
            "ce-type": lambda: fixed.get("ce-type"),
            "text": lambda: next(key for key, value in json.loads(made.body).items() if value == "a\nb"),
            "time": lambda: callee.timeout(skill),
        }
        return looks[self.what]()

    def text(self) -> str:
        return {
            "path": "path of the call",
            "ce-type": "header `ce-type` of the call",
            "text": "key of the text in the call's JSON",
            "time": "time for the call",
        }[self.what]


@dataclass(frozen=True)
class Decided(Effect):
    """The rule by which a caller may call the first skill, or may not."""

    becomes: Any = SAME
    caller: str = "corp:alice"

    def look(self, document: Document, path: str) -> Any:
        source, _, _ = self.caller.partition(":")
        claims = {"team": frozenset(("shop",))}
        groups = frozenset(("corp:sales", "system:serviceaccounts:shop"))
        who = Principal(self.caller, source, groups, claims) if self.caller != ANONYMOUS.name else ANONYMOUS
        agent = rules.of_agent(parsed(document))
        return decide(who, Action.INVOKE, agent, rules.InstallationRules(allow_public=True), skill="one").rule

    def text(self) -> str:
        return "who may call the agent"


@dataclass(frozen=True)
class Tested(Effect):
    """An effect that only a running engine or gateway has: a test whose source names the field or its value."""

    file: str
    test: str
    says: str
    word: str
    becomes: Any = True

    def look(self, document: Document, path: str) -> Any:
        return self.word in _source(self.file, self.test) if self.word in json.dumps(document) else None

    def text(self) -> str:
        return self.says


@cache
def _source(file: str, test: str) -> str:
    """Returns the source of one test with its parameters; raises StopIteration if there is no such test."""
    text = (ROOT / "tests" / file).read_text()
    node = next(node for node in ast.parse(text).body if getattr(node, "name", "") == test)
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
