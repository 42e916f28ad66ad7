"""When a task is run by itself: a cron expression in a time zone."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import Field, model_validator

from lambdaagent.coordination.bodies import Body


class Schedule(Body):
    cron: Annotated[str, Field(min_length=9, max_length=255)]
    timezone: Annotated[str, Field(max_length=64)] = "UTC"

    @model_validator(mode="after")
    def _readable(self) -> "Schedule":
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{self.timezone!r} is no time zone such as Europe/Berlin") from None
        if len(self.cron.split()) != 5:
            raise ValueError(f"{self.cron!r} must have five fields, of which the first are minutes, such as 0 3 * * *")
        try:
            next(CronSim(self.cron, datetime.now(zone)))
        except (CronSimError, StopIteration):
            raise ValueError(f"{self.cron!r} is no cron expression such as 0 3 * * *, or it never comes") from None
        return self


def following(cron: str, timezone: str, *, after: float) -> float:
    """Return the next time of the expression after another one, both in seconds since the epoch."""
    at = next(CronSim(cron, datetime.fromtimestamp(after, ZoneInfo(timezone))))
    return at.astimezone(UTC).timestamp()
