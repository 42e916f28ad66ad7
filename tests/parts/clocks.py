"""A clock that stands still until a test sets it forward."""

from dataclasses import dataclass, field
from time import time

from lambdaagent.clock import Clock, random_uuid


@dataclass
class SetClock:
    time: float = field(default_factory=lambda: float(int(time())))

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.time, new_id=random_uuid)

    def forward(self, seconds: float) -> None:
        self.time += seconds
