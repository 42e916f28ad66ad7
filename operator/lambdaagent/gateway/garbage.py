"""Python's garbage collector, set for a process that has started and will run for long.

It stops everything while it looks. With a thousand streams open a full pass took 100 to 200 ms, and was most of the
latency's last hundredth; half of what it looked at had been there since the start and would be for ever.
"""

import gc

_YOUNG = 10_000  # objects more than before until the young are looked at; Python's 700 is for small programs


def settle() -> None:
    """Call it once, when everything is made that stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 10)
