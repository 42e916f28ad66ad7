"""Rate limits: how many requests each key may send, as buckets that refill evenly (GCRA). Pure but for its memory.

A bucket is one number: the time at which it will be full again. Memory is bounded: full buckets are forgotten first.

Replicas that share a store tell one another once a second what their keys used (`drain`, `learn`), so no request waits
for it. Invariant: over a longer time, all replicas together admit no more than the rate. Within a second each may admit
a burst, and the key waits for it afterwards. While replicas cannot tell one another, each admits its share alone.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

_MOST = 50_000
_MOST_SPENT = 10_000  # keys whose use is told


@dataclass(frozen=True, slots=True)
class Rate:
    per_minute: int
    burst: int
    seconds: float = field(init=False)  # in which one request becomes possible again

    def __post_init__(self) -> None:
        object.__setattr__(self, "seconds", 60.0 / self.per_minute)

    @classmethod
    def of(cls, per_minute: int, burst: int | None) -> "Rate":
        """Without a `burst`, it is the requests of ten seconds."""
        return cls(per_minute, burst or max(1, per_minute // 6))


@dataclass(slots=True)
class Buckets:
    told: bool = False  # whether other replicas are told what is used
    parts: int = 1  # replicas among which a rate is divided, as long as they cannot tell one another
    _full_at: dict[Hashable, float] = field(default_factory=dict)
    _spent: dict[Hashable, float] = field(default_factory=dict)  # seconds, since they were last told

    def take(self, key: Hashable, rate: Rate, *, now: float) -> float:
        """Count one request. Return 0, or the seconds after which the key may send one; then nothing is counted."""
        wait, full_at = self._next(key, rate, now)
        if not wait:
            self._keep(key, full_at, rate, now)
        return wait

    def wait(self, key: Hashable, rate: Rate, *, now: float) -> float:
        """Return 0, or the seconds after which the key may send a request."""
        return self._next(key, rate, now)[0]

    def count(self, key: Hashable, rate: Rate, *, now: float) -> None:
        self._keep(key, self._next(key, rate, now)[1], rate, now)

    def _next(self, key: Hashable, rate: Rate, now: float) -> tuple[float, float]:
        """Return the seconds after which the key may send a request, and when its bucket is full again after it."""
        # Of a share, both the burst and the pace are divided, so the time in which a bucket fills stays the same.
        full_at = max(self._full_at.get(key, now), now) + rate.seconds * self.parts
        wait = full_at - now - max(self.parts, rate.burst) * rate.seconds
        return (wait if wait > 1e-9 else 0.0), full_at

    def _keep(self, key: Hashable, full_at: float, rate: Rate, now: float) -> None:
        if len(self._full_at) >= _MOST and key not in self._full_at:
            self._forget(now)
        self._full_at[key] = full_at
        if self.told and (key in self._spent or len(self._spent) < _MOST_SPENT):
            self._spent[key] = self._spent.get(key, 0.0) + rate.seconds

    def drain(self, *, most: int) -> list[tuple[Hashable, float]]:
        """Return what keys used since they were last told, in seconds of their rates; those that used most first."""
        found = sorted(self._spent.items(), key=lambda item: item[1], reverse=True)[:most]
        for key, _ in found:
            del self._spent[key]
        return found

    def learn(self, key: Hashable, full_at: float) -> None:
        """Take over the time at which a bucket of all replicas is full again."""
        if full_at > self._full_at.get(key, 0.0):
            self._full_at[key] = full_at

    def _forget(self, now: float) -> None:
        kept = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        # With room for few more, almost every count would come here again.
        if len(kept) > _MOST * 3 // 4:
            kept = dict(sorted(kept.items(), key=lambda item: item[1])[_MOST // 2 :])  # the busiest are remembered
        self._full_at = kept
