"""Where a client wants a task's changes posted to, in the form that both versions are read into."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PushConfig:
    """`task_id` is empty where it comes with the message that makes the task; `id` where the client gave none."""

    url: str
    id: str = ""
    task_id: str = ""
    token: str = ""
    scheme: str = ""
    credentials: str = ""
