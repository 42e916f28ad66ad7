"""Whether a document is a workflow of the subset of Serverless Workflow 1.0.3 that runs here; pure.

What the specification has and this subset does not is refused by its name, never ignored: a workflow that is accepted
means what the specification says. The machine (`workflow_machine`) relies on what is checked here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lambdaagent.coordination import workflow_expressions as expressions
from lambdaagent.coordination import workflow_fields as fields
from lambdaagent.coordination.workflow_syntax import CALLS, COMMON, OF_KIND, Fields
from lambdaagent.coordination.workflow_text import Path
from lambdaagent.json_schema import structure
from lambdaagent.json_schema.structure import Budget

KINDS = ("do", "call", "for", "fork", "switch", "set", "emit", "listen", "raise", "wait", "try")
_ELSEWHERE = {"run": "containers, scripts and shells are agents here: call one"}
TASKS, DEPTH, BRANCHES = 500, 16, 100
_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Fault:
    path: Path
    text: str

    @property
    def pointer(self) -> str:
        return pointer(self.path)


@dataclass(frozen=True, slots=True)
class Expression:
    path: Path
    text: str
    variables: tuple[str, ...]


def pointer(path: Path) -> str:
    return "".join(f"/{str(each).replace('~', '~0').replace('/', '~1')}" for each in path)


def check(document: Any) -> tuple[list[Fault], list[Expression]]:
    """Return what is wrong (at most 20 things), and the expressions, which only jq itself can check."""
    checker = _Checker()
    checker.document(document)
    return checker.faults[:_FAULTS], checker.found


@dataclass
class _Checker:
    faults: list[Fault] = field(default_factory=list)
    found: list[Expression] = field(default_factory=list)
    tasks_seen: int = 0

    def document(self, given: Any) -> None:
        known: Fields = {
            "document": fields.map_,
            "input": fields.map_,
            "output": fields.map_,
            "timeout": fields.map_,
            "do": fields.list_,
        }
        if not self.object(given, (), known, required=("document", "do")):
            return
        head: Fields = {
            "dsl": fields.dsl,
            "namespace": fields.label,
            "name": fields.label,
            "version": fields.version,
            "title": fields.text,
            "summary": fields.text,
            "tags": fields.map_,
            "metadata": fields.map_,
        }
        self.object(given.get("document"), ("document",), head, required=("dsl", "namespace", "name", "version"))
        self.data_flow(given, (), (), schemas=("input",))
        self.tasks(given.get("do"), ("do",), (), depth=0)

    def fault(self, path: Path, text: str) -> None:
        self.faults.append(Fault(path, text))

    def object(self, value: Any, path: Path, known: Fields, *, required: Sequence[str] = ()) -> bool:
        """Check an object of these fields, and return whether it can be looked into."""
        if not isinstance(value, dict):
            self.fault(path, "must be an object")
            return False
        for name in required:
            if name not in value:
                self.fault(path, f"needs the field `{name}`")
        for name, each in value.items():
            if name not in known:
                self.fault((*path, name), f"is no field here, or not of the subset; known are {', '.join(known)}")
            elif wrong := known[name](each):
                self.fault((*path, name), wrong)
        return all(name in value for name in required) and not any(
            name in value and known[name](value[name]) for name in required
        )

    def expression(self, value: Any, path: Path, variables: Iterable[str]) -> None:
        if not isinstance(value, str):
            self.fault(path, "must be an expression")
        else:
            self.note(expressions.bare(value), path, variables)

    def data(self, value: Any, path: Path, variables: Iterable[str]) -> None:
        for each in expressions.within(value):
            self.note(each, path, variables)

    def note(self, text: str, path: Path, variables: Iterable[str]) -> None:
        if len(text) > expressions.LONGEST:
            self.fault(path, f"an expression has at most {expressions.LONGEST} characters")
        self.found.append(Expression(path, text, tuple(variables)))

    def data_flow(
        self, given: Mapping[str, Any], path: Path, variables: Sequence[str], *, schemas: Sequence[str] = ()
    ) -> None:
        for name, part in (("input", "from"), ("output", "as"), ("export", "as")):
            value = given.get(name)
            if not isinstance(value, dict):
                continue
            known = {part: fields.anything} | ({"schema": fields.map_} if name in schemas else {})
            self.object(value, (*path, name), known)
            if isinstance(value.get(part), str):
                self.expression(value[part], (*path, name, part), variables)
            else:
                self.data(value.get(part), (*path, name, part), variables)
            if name in schemas and isinstance(value.get("schema"), dict):
                self.schema(value["schema"], (*path, name, "schema"))
        if isinstance(given.get("timeout"), dict):
            self.object(given["timeout"], (*path, "timeout"), {"after": fields.duration}, required=("after",))

    def schema(self, given: dict[str, Any], path: Path) -> None:
        known: Fields = {"format": fields.one_of("json"), "document": fields.map_}
        if self.object(given, path, known, required=("document",)):
            for at, text in structure.faults(given["document"], Budget())[:1]:
                self.fault((*path, "document", *at), f"is no schema that can be checked: {text}")

    def tasks(self, given: Any, path: Path, variables: Sequence[str], *, depth: int) -> None:
        if not isinstance(given, list) or not given:
            self.fault(path, "must be a list of tasks, at least one")
            return
        if depth > DEPTH:
            self.fault(path, f"tasks are nested deeper than {DEPTH} levels")
            return
        names: list[str] = []
        for number, item in enumerate(given):
            at = (*path, number)
            if not isinstance(item, dict) or len(item) != 1:
                self.fault(at, "must be one task with its name: `- name: {...}`")
                continue
            [(name, task)] = item.items()
            if wrong := fields.name(name):
                self.fault(at, f"the task's name {wrong}")
            elif name in ("continue", "exit", "end") or name in names:
                self.fault(at, f"the task's name {name!r} is a directive, or there twice in this list")
            names.append(name)
        for number, item in enumerate(given):
            if isinstance(item, dict) and len(item) == 1:
                [(name, task)] = item.items()
                self.task(task, (*path, number, name), variables, names, depth=depth)

    def task(self, task: Any, path: Path, variables: Sequence[str], names: Sequence[str], *, depth: int) -> None:
        self.tasks_seen += 1
        if self.tasks_seen > TASKS:
            if self.tasks_seen == TASKS + 1:
                self.fault(path, f"there are more than {TASKS} tasks")
            return
        if not isinstance(task, dict):
            self.fault(path, "must be an object")
            return
        kind = kind_of(task)
        if kind is None:
            other = next((each for each in _ELSEWHERE if each in task), None)
            why = f"`{other}` is not of the subset: {_ELSEWHERE[other]}" if other else "it has none of them"
            self.fault(path, f"a task is one of {', '.join(KINDS)}; {why}")
            return
        self.directive(task, path, names)
        required = [name for name in OF_KIND[kind] if name != "while"]
        if not self.object(task, path, {**OF_KIND[kind], **COMMON}, required=required):
            return
        if "if" in task:
            self.expression(task["if"], (*path, "if"), variables)
        self.data_flow(task, path, variables)
        getattr(self, f"_{kind}")(task, path, variables, names, depth)

    def directive(self, given: Mapping[str, Any], path: Path, names: Sequence[str]) -> None:
        then = given.get("then", "continue")
        if isinstance(then, str) and then not in ("continue", "exit", "end", *names):
            self.fault((*path, "then"), f"leads to {then[:64]!r}, which is no task of the same list")

    def _do(self, task: Any, path: Path, variables: Sequence[str], _names: Sequence[str], depth: int) -> None:
        self.tasks(task["do"], (*path, "do"), variables, depth=depth + 1)

    def _call(self, task: Any, path: Path, variables: Sequence[str], _names: Sequence[str], _depth: int) -> None:
        known, required = CALLS[task["call"]]
        given, at = task["with"], (*path, "with")
        if not self.object(given, at, known, required=required):
            return
        self.data(given, at, variables)
        if task["call"] == "a2a" and ("agentCard" in given) == ("server" in given):
            self.fault(at, "needs `agentCard` or `server`, the agent that is called")
        if task["call"] == "mcp":
            parameters: Fields = {"name": fields.text, "arguments": fields.anything}
            self.object(given["parameters"], (*at, "parameters"), parameters, required=("name",))
            transport: Fields = {"http": fields.map_}
            if self.object(given["transport"], (*at, "transport"), transport, required=("http",)):
                http: Fields = {"endpoint": fields.anything}
                self.object(given["transport"]["http"], (*at, "transport", "http"), http, required=("endpoint",))
        for name, of in (("agentCard", given), ("server", given), ("endpoint", given)):
            if name in of:
                self.endpoint(of[name], (*at, name), card=name == "agentCard")

    def endpoint(self, given: Any, path: Path, *, card: bool) -> None:
        if isinstance(given, str):
            return
        known: Fields = {"endpoint": fields.anything, "name": fields.text} if card else {"uri": fields.text}
        required = ("endpoint",) if card else ("uri",)
        if self.object(given, path, known, required=required) and card:
            self.endpoint(given["endpoint"], (*path, "endpoint"), card=False)

    def _for(self, task: Any, path: Path, variables: Sequence[str], _names: Sequence[str], depth: int) -> None:
        given, at = task["for"], (*path, "for")
        known: Fields = {"each": fields.variable, "in": fields.text, "at": fields.variable}
        if not self.object(given, at, known, required=("in",)):
            return
        self.expression(given["in"], (*at, "in"), variables)
        inner = with_variables(variables, given.get("each", "item"), given.get("at", "index"))
        if "while" in task:
            self.expression(task["while"], (*path, "while"), inner)
        self.tasks(task["do"], (*path, "do"), inner, depth=depth + 1)

    def _fork(self, task: Any, path: Path, variables: Sequence[str], _names: Sequence[str], depth: int) -> None:
        given, at = task["fork"], (*path, "fork")
        known: Fields = {"branches": fields.list_, "compete": fields.boolean}
        if not self.object(given, at, known, required=("branches",)):
            return
        if len(given["branches"]) > BRANCHES:
            self.fault(
                (*at, "branches"), f"a fork has at most {BRANCHES} branches, and this one {len(given['branches'])}"
            )
            return
        self.tasks(given["branches"], (*at, "branches"), variables, depth=depth + 1)

    def _switch(self, task: Any, path: Path, variables: Sequence[str], names: Sequence[str], _depth: int) -> None:
        if not task["switch"]:
            self.fault((*path, "switch"), "must have at least one case")
        for number, item in enumerate(task["switch"]):
            at: Path = (*path, "switch", number)
            if not isinstance(item, dict) or len(item) != 1:
                self.fault(at, "must be one case with its name: `- name: {when, then}`")
                continue
            [(name, case)] = item.items()
            at = (*at, name)
            if self.object(case, at, {"when": fields.text, "then": fields.text}, required=("then",)):
                self.directive(case, at, names)
                if "when" in case:
                    self.expression(case["when"], (*at, "when"), variables)

    def _set(self, task: Any, path: Path, variables: Sequence[str], _names: Sequence[str], _depth: int) -> None:
        given = task["set"]
        if not (isinstance(given, dict) and given) and not (isinstance(given, str) and expressions.of_text(given)):
            self.fault((*path, "set"), "must be an object with at least one member, or an expression")
        self.data(given, (*path, "set"), variables)

    def _emit(self, task: Any, path: Path, variables: Sequence[str], _names: Sequence[str], _depth: int) -> None:
        at: Path = (*path, "emit")
        if not self.object(task["emit"], at, {"event": fields.map_}, required=("event",)):
            return
        event, at = task["emit"]["event"], (*at, "event")
        if not self.object(event, at, {"with": fields.map_}, required=("with",)):
            return
        known: Fields = {
            "type": fields.event_type,
            "source": fields.text,
            "subject": fields.text,
            "dataschema": fields.text,
            "data": fields.anything,
        }
        self.object(event["with"], (*at, "with"), known, required=("type",))
        self.data(event["with"], (*at, "with"), variables)

    def _listen(self, task: Any, path: Path, variables: Sequence[str], _names: Sequence[str], _depth: int) -> None:
        at: Path = (*path, "listen")
        known: Fields = {"to": fields.map_, "read": fields.one_of("data", "envelope")}
        if not self.object(task["listen"], at, known, required=("to",)):
            return
        to, at = task["listen"]["to"], (*at, "to")
        if len(to) != 1 or next(iter(to)) not in ("one", "any", "all"):
            self.fault(at, "must be one of one, any, all")
            return
        [(how, given)] = to.items()
        filters = [given] if how == "one" else given
        if not isinstance(filters, list) or not 1 <= len(filters) <= BRANCHES:
            self.fault((*at, how), f"must be a list of 1 to {BRANCHES} filters of events")
            return
        for number, each in enumerate(filters):
            self.filter(each, (*at, how) if how == "one" else (*at, how, number), variables)

    def filter(self, given: Any, path: Path, variables: Sequence[str]) -> None:
        if not self.object(given, path, {"with": fields.map_}, required=("with",)):
            return
        known: Fields = {
            "type": fields.event_type,
            "id": fields.text,
            "source": fields.text,
            "subject": fields.text,
            "a2asender": fields.text,
            "data": fields.text,
        }
        if self.object(given["with"], (*path, "with"), known, required=("type",)):
            for name, value in given["with"].items():
                if name == "data":
                    self.expression(value, (*path, "with", name), variables)
                elif name != "type":
                    self.data(value, (*path, "with", name), variables)

    def _raise(self, task: Any, path: Path, variables: Sequence[str], _names: Sequence[str], _depth: int) -> None:
        at: Path = (*path, "raise")
        if not self.object(task["raise"], at, {"error": fields.map_}, required=("error",)):
            return
        known: Fields = {
            "type": fields.text,
            "status": fields.status,
            "title": fields.text,
            "detail": fields.text,
        }
        self.object(task["raise"]["error"], (*at, "error"), known, required=("type", "status"))
        self.data(task["raise"]["error"], (*at, "error"), variables)

    def _wait(self, task: Any, path: Path, variables: Sequence[str], _names: Sequence[str], _depth: int) -> None:
        """The duration is checked as a field."""

    def _try(self, task: Any, path: Path, variables: Sequence[str], _names: Sequence[str], depth: int) -> None:
        self.tasks(task["try"], (*path, "try"), variables, depth=depth + 1)
        catch, at = task["catch"], (*path, "catch")
        known: Fields = {
            "errors": fields.map_,
            "as": fields.variable,
            "when": fields.text,
            "exceptWhen": fields.text,
            "retry": fields.map_,
            "do": fields.list_,
        }
        if not self.object(catch, at, known):
            return
        inner = with_variables(variables, catch.get("as", "error"))
        for name in ("when", "exceptWhen"):
            if name in catch:
                self.expression(catch[name], (*at, name), inner)
        if isinstance(catch.get("errors"), dict) and self.object(
            catch["errors"], (*at, "errors"), {"with": fields.map_}, required=("with",)
        ):
            by: Fields = {
                "type": fields.text,
                "status": fields.status,
                "title": fields.text,
                "detail": fields.text,
                "instance": fields.text,
            }
            self.object(catch["errors"]["with"], (*at, "errors", "with"), by)
        if isinstance(catch.get("retry"), dict):
            self.retry(catch["retry"], (*at, "retry"), inner)
        if "do" in catch:
            self.tasks(catch["do"], (*at, "do"), inner, depth=depth + 1)

    def retry(self, given: dict[str, Any], path: Path, variables: Sequence[str]) -> None:
        known: Fields = {
            "when": fields.text,
            "exceptWhen": fields.text,
            "delay": fields.duration,
            "backoff": fields.map_,
            "limit": fields.map_,
            "jitter": fields.map_,
        }
        self.object(given, path, known, required=("limit",))
        for name in ("when", "exceptWhen"):
            if name in given:
                self.expression(given[name], (*path, name), variables)
        backoff = given.get("backoff", {"constant": {}})
        kinds: Fields = dict.fromkeys(("constant", "linear", "exponential"), fields.map_)
        if isinstance(backoff, dict) and (len(backoff) != 1 or any(backoff.values())):
            self.fault((*path, "backoff"), "must be one of constant, linear, exponential, each `{}`")
        elif isinstance(backoff, dict):
            self.object(backoff, (*path, "backoff"), kinds)
        limit, at = given.get("limit"), (*path, "limit")
        if isinstance(limit, dict):
            self.object(limit, at, {"attempt": fields.map_, "duration": fields.duration}, required=("attempt",))
            if isinstance(limit.get("attempt"), dict):
                self.object(limit["attempt"], (*at, "attempt"), {"count": fields.count}, required=("count",))
        if isinstance(given.get("jitter"), dict):
            self.object(
                given["jitter"],
                (*path, "jitter"),
                {"from": fields.duration, "to": fields.duration},
                required=("from", "to"),
            )


def with_variables(variables: Sequence[str], *more: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*variables, *more)))


def kind_of(task: Mapping[str, Any]) -> str | None:
    """Return what a task does: `for` and `try` contain others' words, and come first."""
    for kind in ("for", "try", *KINDS):
        if kind in task:
            return kind
    return None
