"""A task that is begun anew makes its artifacts anew: those of the attempt that was cut short are replaced. Pure.

Followers have seen chunks of the earlier attempt, so the new artifacts take over the ids of the old ones in their
order, and the first chunk of each replaces what was there (1.0 section 4.2.2, `append` false).
"""

from collections.abc import Sequence

from lambdaagent.a2a import Json
from lambdaagent.store.records import TaskChange


def unfinished(log: Sequence[TaskChange]) -> list[str]:
    """Ids of the artifacts made since the client's last message, in the order of their first chunks."""
    ids: dict[str, None] = {}
    for change in log:
        for update in change.updates:
            if "message" in update:
                ids.clear()
            elif "artifactUpdate" in update:
                ids[update["artifactUpdate"]["artifact"]["artifactId"]] = None
    return list(ids)


class Replacing:
    """Renames the artifacts of one attempt; `ids` are those of the attempts before it."""

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
        """The artifact's own id where the earlier attempt used it too, else the first that is left."""
        name = own if own in self._left or not self._left else self._left[0]
        if name in self._left:
            self._left.remove(name)
        self._names[own] = name
        return name
