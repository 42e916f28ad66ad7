"""The table of results that a run prints."""

import statistics
from collections import Counter
from collections.abc import Sequence

from tests.integration.durability.accounting import STREAMS, Account
from tests.integration.durability.client import state


def percentiles(seconds: Sequence[float]) -> str:
    if not seconds:
        return "none"
    ordered = sorted(seconds)
    last = len(ordered) - 1
    p99 = ordered[min(last, round(last * 0.99))]
    return f"p50 {statistics.median(ordered):.1f}, p99 {p99:.1f}, max {ordered[-1]:.1f} s"


def rows(found: Account) -> list[tuple[str, str]]:
    sent, tasks = found.sent, found.tasks
    states = Counter(state(task) for task in tasks.values())
    blocking = [each.seconds for each in sent if each.kind == "blocking" and each.seconds is not None]
    hung = sum(1 for each in sent if each.kind == "blocking" and each.gave_up)
    streams = [each for each in sent if each.kind in STREAMS]
    kinds = Counter(each.kind for each in sent)
    again = [each.key for each in sent if each.kind == "again" and each.key in tasks]
    several = sum(len(tasks[key].get("artifacts", [])) > 1 for key in again)
    cancels = sum(state(tasks[each.key]) == "CANCELED" for each in sent if each.cancelled and each.key in tasks)
    settled = [each.ended - each.created for each in found.histories.values() if each.ended is not None]
    table = [
        ("sends", f"{len(sent)}: {_counted(kinds)}"),
        ("kills", f"{len(found.kills)}: {_counted(Counter(kill.kind for kill in found.kills))}"),
        ("tasks", _counted(states)),
        ("settled after", percentiles(settled)),
        *(
            (f"failed: {name}", f"{len(each)}, after {percentiles(each)}")
            for name, each in sorted(found.failed.items())
        ),
        ("blocking sends", f"{percentiles(blocking)}; {hung} unanswered"),
        ("streams", f"{len(streams)}, {sum(each.resumes for each in streams)} resumes, {_of(found, 'gaps')} with gaps"),
        ("idempotent streams", f"{len(again)}, {several} with more than one artifact"),
        ("cancels", f"{cancels}, {_of(found, 'run on')} run on"),
    ]
    return table + [(f"wrong: {name}", str(len(each))) for name, each in sorted(found.wrong.items()) if each]


def text(table: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"  {name:<28}{value}" for name, value in table)


def _counted(counter: "Counter[str]") -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())


def _of(found: Account, name: str) -> int:
    return len(found.wrong.get(name, []))
