"""The tuning of the garbage collector, tested in a process of its own because it applies to a whole process."""

import subprocess
import sys

SCRIPT = """
import gc
from lambdaagent.gateway import gc_tuning
gc_tuning.settle()
kept = gc.get_freeze_count()
class Knot: pass
for _ in range(200_000):
    knot = Knot()
    knot.self = knot
print(kept > 1000, gc.get_freeze_count() == kept, len(gc.get_objects()) < 100_000)
"""


def test_what_is_there_is_left_alone_and_later_garbage_is_still_collected() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 3
