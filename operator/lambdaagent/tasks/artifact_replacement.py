"""Replaces the artifacts of an interrupted attempt when the task is started again. Pure.

Followers have received chunks of the earlier attempt, so the new artifacts take over the ids of the old ones in order,
and the first chunk of each replaces the old content (1.0 section 4.2.2, `append` false).
"""

from collections.abc import Sequence

from lambdaagent.a2a import Json
from lambdaagent.store.records import TaskChange


def unfinished(log: Sequence[TaskChange]) -> list[str]:
    """Return the ids of the artifacts made since the client's last message, in the order of their first chunks."""
    ids: dict[str, None] = {}
    for change in log:
        for update in change.updates:
            if "message" in update:
                ids.clear()
            elif "artifactUpdate" in update:
                ids[update["artifactUpdate"]["artifact"]["artifactId"]] = None
    return list(ids)


class Replacing:
    """Renames the artifacts of one attempt; `ids` are those of the artifacts of earlier attempts."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._left = list(ids)
        self._names: dict[str, str] = {}

    def renamed(self, updates: list[Json]) -> list[Json]:
        if not self._left and not self._names:
            return updates
        return [self._renamed(update) if "artifactUpdate" in update else update for update in updates]

    def _renamed(self, update: Json) -> Json:
        change = update["artifactUpdate"]
        artifact = change["artifact"]
        name = self._names.get(artifact["artifactId"])
        if name is not None:
            return {"artifactUpdate": {**change, "artifact": {**artifact, "artifactId": name}}}
        name = self._take(artifact["artifactId"])
        return {"artifactUpdate": {**change, "artifact": {**artifact, "artifactId": name}, "append": False}}

    def _take(self, own: str) -> str:
        """Return the artifact's own id if it is an old id too or no old id is left, else the first old id left."""
        name = own if own in self._left or not self._left else self._left[0]
        if name in self._left:
            self._left.remove(name)
        self._names[own] = name
        return name
