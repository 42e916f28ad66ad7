"""Pages of tasks (1.0 section 3.1.4), with keyset tokens, so that the last page costs as little as the first."""

import orjson

from lambdaagent import page_token
from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.a2a.params import Find
from lambdaagent.a2a.tasks import shown
from lambdaagent.containers.callee import Callee
from lambdaagent.store.records import Cursor, Page, TaskQuery, TaskRecord
from lambdaagent.tasks.requests import TaskPage

_PAGE_BYTES = 8 * 1024 * 1024


def listing(callee: Callee, request: Find, *, owner: str | None) -> TaskQuery:
    """Return the query of a page. Raises A2AError for a token that no page returned."""
    return TaskQuery(
        namespace=callee.namespace,
        agent=callee.name,
        owner=owner,
        context_id=request.context_id,
        state=request.state,
        updated_from=request.updated_from,
        after=_cursor(request.page_token),
        limit=request.page_size,
    )


def page(found: Page, request: Find) -> TaskPage:
    """Return a page, with fewer tasks than were found if they are large: encoding it blocks the event loop."""
    tasks: list[Json] = []
    size = 0
    for record in found.records:
        task = _listed(record, request)
        size += len(orjson.dumps(task))
        if tasks and size > _PAGE_BYTES:
            break
        tasks.append(task)
    more = found.more or len(tasks) < len(found.records)
    return TaskPage(tasks, total=found.total, next_token=_token(found.records[len(tasks) - 1]) if more else "")


def _listed(record: TaskRecord, request: Find) -> Json:
    task = shown(record.task, history_length=request.history_length)
    if request.include_artifacts or "artifacts" not in task:
        return task
    return {key: value for key, value in task.items() if key != "artifacts"}


def _token(last: TaskRecord) -> str:
    return page_token.encode(f"{last.updated!r} {last.id}")


def _cursor(token: str) -> Cursor | None:
    if not token:
        return None
    try:
        updated, _, task_id = page_token.decode(token).partition(" ")
        return float(updated), task_id
    except ValueError:
        raise invalid(Violation("pageToken", "is not a token of an earlier page")) from None
