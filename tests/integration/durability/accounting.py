"""Checks after a run: `account` compares the responses to the clients with the tasks in the database.

Whatever is wrong is a sentence in `wrong`, under the name of what was broken.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.integration.durability.client import Client, Json, RefusedError, ended, reason, state, texts
from tests.integration.durability.container import BEGUN, CLOSED, DONE, OVERRAN, Note
from tests.integration.durability.holders import History, Holders
from tests.integration.durability.kills import Kill
from tests.integration.durability.load import TURNS, WORDS, Sent

ALL_WORDS = [str(number) for number in range(WORDS)]
STREAMS = ("streamed", "again")
# A gateway that beats so long after its container answered could have written the answer.
KEPT_SECONDS = 5.0
REASONS = {
    "The gateway was restarted": "gateway gone",
    "The gateway that ran the task gave no sign of life": "gateway gone",
    "The gateway was stopped": "gateway stopped",
    "The gateway failed": "gateway failed",
    "The agent could not be called": "agent unreachable",
    "The call could not be sent": "call not sent",
    "The call could not be delivered": "call not delivered",
    "The agent did not finish": "agent too slow",
    "The task got no response": "no answer in time",
}


@dataclass
class Account:
    sent: Sequence[Sent]
    histories: dict[str, History]
    last_beats: dict[str, float]
    notes: Sequence[Note]
    kills: Sequence[Kill]
    container: int  # the process that runs at the end
    tasks: dict[str, Json] = field(default_factory=dict)  # by the key of what was sent
    wrong: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    failed: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def noted(self, key: str, *whats: str) -> list[Note]:
        return [note for note in self.notes if note.key == key and note.what in whats]

    def lived(self, history: History, *, since: float | None = None) -> bool:
        """Returns whether the owner of the task sent a heartbeat after a time, by default after the end of the task."""
        at = history.ended if since is None else since
        return at is not None and self.last_beats.get(history.holder, 0.0) > at


async def account(found: Account, client: Client, holders: Holders) -> None:
    for key, tasks in holders.of_message().items():
        if len(tasks) > 1:
            found.wrong["duplicated"].append(f"{key} has the tasks {', '.join(tasks)}")
    for sent in found.sent:
        for problem in sent.problems:
            found.wrong["refused" if problem.startswith("refused") else "answers"].append(f"{sent.key}: {problem}")
        if sent.gave_up:
            found.wrong["unanswered"].append(f"{sent.key}: {sent.gave_up}")
        if not sent.task_id:
            continue
        try:
            task = found.tasks[sent.key] = await client.task(sent.agent, sent.task_id)
        except RefusedError as error:
            found.wrong["lost"].append(f"{sent.key}: task {sent.task_id}: {error}")
            continue
        if state(task) == "FAILED":
            _failure(found, sent, task)
        elif state(task) == "COMPLETED":
            _answer(found, sent, task)
        if sent.kind == "asked":
            _turns(found, sent, task)
        if sent.kind == "cancelled":
            _cancel(found, sent, task)
        if sent.kind in STREAMS:
            _stream(found, sent, task)


def _failure(found: Account, sent: Sent, task: Json) -> None:
    text, history = reason(task), found.histories[sent.task_id]
    name = next((name for start, name in REASONS.items() if text.startswith(start)), text[:60] or "no reason")
    found.failed[name].append((history.ended or history.created) - history.created)
    if name == "gateway gone" and found.lived(history):
        found.wrong["reason"].append(f"{sent.key}: {text!r}, and its gateway lives")
    if name == "agent unreachable" and not any(
        kill.kind == "container" and kill.began < (history.ended or 0) and kill.back > history.created
        for kill in found.kills
    ):
        found.wrong["reason"].append(f"{sent.key}: {text!r}, and the container lived")
    last = found.noted(sent.key, BEGUN, DONE)[-1:]  # What an earlier gateway was answered went with that gateway.
    if [note.what for note in last] == [DONE] and found.lived(history, since=last[0].at + KEPT_SECONDS):
        found.wrong["answer lost"].append(f"{sent.key}: its container answered, its gateway lived on: {text!r}")


def _answer(found: Account, sent: Sent, task: Json) -> None:
    if sent.kind in STREAMS:
        whole = texts(task) == [ALL_WORDS]
        several = len(texts(task)) > 1
        if not whole:
            found.wrong["several artifacts" if several else "answers"].append(f"{sent.key}: {texts(task)}")
        return
    if sent.kind == "cancelled":
        found.wrong["answers"].append(f"{sent.key} hangs, and it is said to have completed")
        return
    key = f"{sent.key}.0" if sent.kind == "asked" else sent.key
    if texts(task) != [[f"done: {key}"]]:
        found.wrong["answers"].append(f"{sent.key}: {texts(task)}")


def _turns(found: Account, sent: Sent, task: Json) -> None:
    """Checks that each message of the client is in the history once, in the order of the acknowledgements."""
    said = [message["messageId"] for message in task["history"] if message["role"] == "ROLE_USER"]
    expected = [sent.key, *(f"{sent.key}.{left}" for left in reversed(range(TURNS)))][: len(sent.turns)]
    if said[: len(sent.turns)] != expected or len(said) > len(sent.turns) + 1:
        found.wrong["follow-ups"].append(f"{sent.key}: acknowledged {sent.turns}, in the task {said}")
    calls = [note.key for note in found.notes if note.what == BEGUN and note.key.startswith(f"{sent.key}.")]
    if len(calls) != len(set(calls)):
        found.wrong["called twice"].append(f"{sent.key}: {calls}")


def _cancel(found: Account, sent: Sent, task: Json) -> None:
    if sent.cancelled and not ended(task):
        found.wrong["cancels"].append(f"{sent.key}: the cancel was acknowledged, and it is {state(task)}")
    if state(task) == "CANCELED" and still_open(found, sent):
        found.wrong["run on"].append(f"{sent.key}: canceled, and its container works on")


def still_open(found: Account, sent: Sent) -> bool:
    """Returns whether the newest process of the container works on the call, or did until its time was over."""
    begun = [note for note in found.noted(sent.key, BEGUN) if note.pid == found.container]
    over = [note for note in found.noted(sent.key, CLOSED) if note.pid == found.container]
    return len(begun) > len(over) or bool(found.noted(sent.key, OVERRAN))


def _stream(found: Account, sent: Sent, task: Json) -> None:
    if sent.followed is None:
        return
    seen = texts(sent.followed)
    if sent.whole and (seen, state(sent.followed)) != (texts(task), state(task)):
        found.wrong["gaps"].append(f"{sent.key}: its stream told {seen}, the task has {texts(task)}")
    if sent.kind == "streamed" and seen not in ([], [ALL_WORDS[: len(seen[0]) if seen else 0]]):
        found.wrong["gaps"].append(f"{sent.key}: its stream told {seen}")


def called_twice(found: Account) -> None:
    """Checks that a synchronous skill that is not idempotent is called once."""
    for sent in found.sent:
        calls = found.noted(sent.key, BEGUN)
        if sent.kind in ("blocking", "polled", "pushed", "cancelled", "streamed") and len(calls) > 1:
            found.wrong["called twice"].append(f"{sent.key}: {len(calls)} calls")
