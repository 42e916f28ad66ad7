"""Lists, shows and follows tasks."""

import sys

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState, parse_state
from lambdaagent.a2a.tasks import TerminalTaskError, fold
from lambdaagent.cli.agents import directory, following
from lambdaagent.cli.agents.a2a_client import UNSUPPORTED, A2aClient, RpcError
from lambdaagent.cli.agents.following import Followed
from lambdaagent.cli.agents.transcript import plain_text
from lambdaagent.cli.agents.turns import INTERRUPTED
from lambdaagent.cli.coordination import showing
from lambdaagent.cli.coordination.client import Gateway
from lambdaagent.cli.printing import print_json, yaml_text
from lambdaagent.cli.tools import Form
from lambdaagent.errors import LambdaAgentError, UsageError

VIEW = showing.View(
    {"TASK": "id", "STATE": "state", "UPDATED": "updated", "CONTEXT": "context", "SAID": "said"}, key="id"
)
_PAGE = 100
_SAID = 80  # characters of the table


def client(agent: str, url: str, token: str, token_file: str) -> A2aClient:
    gateway = Gateway.of(url, token, token_file)
    return A2aClient(gateway, directory.find(gateway, agent))


def listed(client: A2aClient, *, status: str, context: str, limit: int, form: Form) -> list[Json]:
    """Return the tasks that changed last. Raises LambdaAgentError."""
    state = parse_state(status) if status else None
    if status and state is None:
        raise UsageError(f"--status {status}: give {', '.join(each.v03 for each in TaskState)}")
    params: Json = {"includeArtifacts": True, "pageSize": min(limit, _PAGE)}
    params |= {"status": str(state)} if state else {}
    params |= {"contextId": context} if context else {}
    found: list[Json] = []
    while True:
        page = client.call("ListTasks", params)
        found += page.get("tasks", [])
        token = page.get("nextPageToken")
        if not token or len(found) >= limit:
            return [_shown(task, form) for task in found[:limit]]
        params["pageToken"] = token


def show(task: Json, form: Form) -> None:
    showing.one(_shown(task, form), VIEW, form)


def watch(client: A2aClient, task_id: str, form: Form) -> int:
    """Print a task and its changes until it has ended; return the exit code. Raises LambdaAgentError."""
    task = client.call("GetTask", {"id": task_id})
    changes = showing.Changes(VIEW, form)
    state = parse_state(task["status"].get("state"))
    try:
        if state is None or not state.terminal:
            task = _follow(client, task, changes, form)
        else:
            _print({"task": task}, task, changes, form)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0 if parse_state(task["status"].get("state")) is TaskState.COMPLETED else 1


def _follow(client: A2aClient, task: Json, changes: showing.Changes, form: Form) -> Json:
    try:
        for result in following.subscribe(client, Followed(task["id"])):
            task = _folded(task, result)
            _print(result, task, changes, form)
    except RpcError as error:
        if error.code != UNSUPPORTED:
            raise
        task = client.call("GetTask", {"id": task["id"]})  # it ended before the stream began
        _print({"task": task}, task, changes, form)
    return task


def _folded(task: Json, result: Json) -> Json:
    if "task" in result:
        found: Json = result["task"]
        return found
    try:
        return fold(task, result)
    except TerminalTaskError:
        return task
    except (AttributeError, KeyError, TypeError) as error:
        raise LambdaAgentError(f"an event is not of A2A 1.0: {type(error).__name__} {error}") from None


def _print(result: Json, task: Json, changes: showing.Changes, form: Form) -> None:
    if form is Form.JSON:
        print_json(result, indent=None)
    elif form is Form.YAML:
        sys.stdout.write("---\n" + yaml_text(result))
    else:
        changes.show(_row(task))
    sys.stdout.flush()


def _shown(task: Json, form: Form) -> Json:
    return _row(task) if form is Form.TABLE else task


def _row(task: Json) -> Json:
    status = task.get("status") or {}
    state = parse_state(status.get("state"))
    texts = [plain_text(each, between="") for each in reversed(task.get("artifacts", []))]
    texts.insert(0, plain_text(status.get("message") or {}))
    return {
        "id": task.get("id"),
        "state": state.v03 if state is not None else None,
        "updated": status.get("timestamp"),
        "context": task.get("contextId"),
        "said": next(filter(None, texts), "")[:_SAID],
    }
