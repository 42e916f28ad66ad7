"""What a host is told of a call while it runs: progress, and the lines that a server logs.

Progress must grow with each notification, so a value that does not is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.mcp.extension import LOG, PROGRESS
from lambdaagent.mcp.protocol import LOG_LEVEL_KEY, Code, McpError

_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
_WORDS = 256  # characters of an update that a progress notification repeats
_TOKEN = 256


@dataclass(slots=True)
class Interest:
    """What one call's host wants to be told. `least` is the least level of log lines, an index; None: none of them."""

    token: str | int | None
    least: int | None
    last: float = float("-inf")
    reported: bool = False  # by the agent itself: its words are then no progress

    @classmethod
    def of(cls, params: Mapping[str, Any], *, modern: bool) -> "Interest":
        """Hosts of the handshake revisions get log lines without asking, as those revisions say. Raises McpError."""
        meta = params.get("_meta")
        meta = meta if isinstance(meta, dict) else {}
        token = meta.get("progressToken")
        if token is not None and (
            isinstance(token, bool) or not isinstance(token, str | int) or len(str(token)) > _TOKEN
        ):
            raise McpError(Code.INVALID_PARAMS, f"_meta.progressToken must be a number or at most {_TOKEN} characters.")
        level = meta.get(LOG_LEVEL_KEY, None if modern else "info")
        return cls(token, level_of(level) if level is not None else None)

    def notifications(self, event: Json) -> list[Json]:
        """Return what an event of the task, in the 1.0 form of a StreamResponse, tells the host."""
        update = event.get("statusUpdate") or event.get("artifactUpdate") or {}
        metadata = update.get("metadata") or {}
        found = []
        if isinstance(line := metadata.get(LOG), dict) and self._wants(line):
            found.append({"jsonrpc": "2.0", "method": "notifications/message", "params": line})
        if self.token is not None and (params := self._progress(event, metadata)) is not None:
            found.append({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        return found

    def _wants(self, line: Json) -> bool:
        level = line.get("level")
        return self.least is not None and level in _LEVELS and _LEVELS.index(level) >= self.least and "data" in line

    def _progress(self, event: Json, metadata: Json) -> Json | None:
        said = metadata.get(PROGRESS)
        if isinstance(said, dict) and isinstance(said.get("progress"), int | float):
            now, words, total = float(said["progress"]), said.get("message"), said.get("total")
            self.reported = True
        elif self.reported or LOG in metadata:
            return None
        else:
            words, total = _words(event), None
            if not words:
                return None
            now = max(self.last, 0) + 1
        if now <= self.last:
            return None
        self.last = now
        params: Json = {"progressToken": self.token, "progress": now}
        if isinstance(total, int | float):
            params["total"] = total
        return params | ({"message": words[:_WORDS]} if isinstance(words, str) and words else {})


def level_of(value: object) -> int:
    """Return a level's rank. Raises McpError for what is no level."""
    if value not in _LEVELS:
        raise McpError(Code.INVALID_PARAMS, f"The log level must be one of {', '.join(_LEVELS)}.")
    return _LEVELS.index(str(value))


def _words(event: Json) -> str:
    if "artifactUpdate" in event:
        update = event["artifactUpdate"]
        if update.get("lastChunk") and not update.get("append"):
            return ""  # a whole artifact: the result tells it
        parts = update["artifact"].get("parts", [])
    else:
        status = event.get("statusUpdate", {}).get("status", {})
        parts = (status.get("message") or {}).get("parts", []) if status.get("state") == "TASK_STATE_WORKING" else []
    return " ".join(part["text"] for part in parts if "text" in part).strip()
