"""The dialects of clients: how parameters are read into the 1.0 form, and how results are written from it.

There are three: 1.0 is the same in both bindings, 0.3 is not (`v03`, `v03rest`). The bindings run the same operations
and differ only by their dialect and their framing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambdaagent.a2a import Json, push, v03, v03rest
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.versions import Version


@dataclass(frozen=True, slots=True)
class Dialect:
    version: Version
    readers: Mapping[Operation, Callable[[Json], Json]]  # without an entry, the parameters are in the 1.0 form already
    sent: Callable[[Json], Json]  # the answer to a message: a task or a direct Message, as a StreamResponse
    task: Callable[[Json], Json]
    event: Callable[[Json, bool], Json]  # of a stream; the flag: it ends when the task waits for its client
    push: Callable[[PushConfig], Json]
    pushes: Callable[[Sequence[PushConfig]], Any]
    dropped: Any  # the result after a configuration was deleted


def _same(value: Json) -> Json:
    return value


V1 = Dialect(
    version=Version.V1,
    readers={},
    sent=_same,
    task=_same,
    event=lambda event, _: event,
    push=push.shown,
    pushes=lambda configs: {"configs": [push.shown(config) for config in configs]},
    dropped={},
)
V03_RPC = Dialect(
    version=Version.V03,
    readers={
        Operation.SEND: v03.upgrade_send,
        Operation.STREAM: v03.upgrade_send,
        Operation.PUSH_PUT: v03.upgrade_push,
        Operation.PUSH_GET: v03.upgrade_push_reference,
        Operation.PUSH_LIST: v03.upgrade_push_reference,
        Operation.PUSH_DROP: v03.upgrade_push_reference,
    },
    sent=v03.downgrade_event,
    task=v03.downgrade_task,
    event=lambda event, until_input: v03.downgrade_event(event, until_input=until_input),
    push=v03.downgrade_push,
    pushes=lambda configs: [v03.downgrade_push(config) for config in configs],
    dropped=None,
)
V03_REST = Dialect(
    version=Version.V03,
    readers={
        Operation.SEND: v03rest.upgrade_send,
        Operation.STREAM: v03rest.upgrade_send,
        Operation.PUSH_PUT: v03rest.upgrade_push,
    },
    sent=lambda answer: v03rest.downgrade_event(answer, until_input=True),
    task=v03rest.downgrade_task,
    event=lambda event, until_input: v03rest.downgrade_event(event, until_input=until_input),
    push=v03rest.downgrade_push,
    pushes=lambda configs: {"configs": [v03rest.downgrade_push(config) for config in configs]},
    dropped={},
)
RPC = {Version.V1: V1, Version.V03: V03_RPC}
REST = {Version.V1: V1, Version.V03: V03_REST}
