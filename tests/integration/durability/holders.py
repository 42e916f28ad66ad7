"""The owners of tasks, recorded by PostgreSQL: a trigger sees each version, and replicas' rows their last heartbeat.

A task that failed because its gateway is gone is told the truth only if that gateway never beat again.
"""

from dataclasses import dataclass

from tests.parts.postgres import Postgres

from lambdaagent.tasks.limits import EngineLimits

_NOTE = """
CREATE TABLE noted (task text, version int, holder text, settled int, at float8);
CREATE INDEX ON noted (task, version);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted VALUES (NEW.id, NEW.version, NEW.holder, NEW.settled, extract(epoch FROM clock_timestamp()));
  RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON lambdaagent_tasks FOR EACH ROW EXECUTE FUNCTION note();
"""
_HISTORY = """
SELECT task, (SELECT holder FROM noted h WHERE h.task = n.task AND holder <> '' ORDER BY version DESC LIMIT 1),
  min(at), min(at) FILTER (WHERE settled = 2) FROM noted n GROUP BY task
"""
_BEATS = "SELECT holder, extract(epoch FROM until) FROM lambdaagent_replicas"


@dataclass(frozen=True)
class History:
    """The owners of a task: `holder` is the last one; `ended` is None while the task goes on."""

    holder: str
    created: float
    ended: float | None


@dataclass(frozen=True)
class Holders:
    postgres: Postgres
    database: str

    def note(self) -> None:
        """Records owners from now on."""
        self.postgres.execute(_NOTE, database=self.database)

    def histories(self) -> dict[str, History]:
        found = {}
        for task, holder, created, ended in self._rows(_HISTORY):
            found[task] = History(holder, float(created), float(ended) if ended else None)
        return found

    def last_beats(self) -> dict[str, float]:
        return {holder: float(until) - EngineLimits().lease for holder, until in self._rows(_BEATS)}

    def unsettled(self) -> list[str]:
        return [row[0] for row in self._rows("SELECT id FROM lambdaagent_tasks WHERE settled = 0")]

    def of_message(self) -> dict[str, list[str]]:
        """Returns the tasks by the id of their first message."""
        first = "(convert_from(body, 'UTF8')::json -> 'history' -> 0 ->> 'messageId')"
        found: dict[str, list[str]] = {}
        for key, task in self._rows(f"SELECT {first}, id FROM lambdaagent_tasks"):
            found.setdefault(key, []).append(task)
        return found

    def _rows(self, sql: str) -> list[list[str]]:
        return [line.split("|") for line in self.postgres.execute(sql, database=self.database).splitlines()]
