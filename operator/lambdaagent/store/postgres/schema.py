"""Which schema this code needs, and whether a database's schema is compatible with it.

Revisions are named `v<major>_<minor>`. A minor revision only adds, so that gateways of the previous version continue to
work with it (expand). An incompatible change, such as the removal of a column, waits for a major revision, which is
released only after no supported version uses what it removes (contract). So a gateway runs on its own major revision
and any later minor one.
"""

import re

NEEDED = (1, 11)
TABLE = "lambdaagent_schema"


def parse(revision: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"v(\d+)_(\d+)", revision)
    return (int(found[1]), int(found[2])) if found else None


def problem(revision: str | None) -> str | None:
    """Return why a gateway of this version cannot use a database of that revision; None: it can."""
    needed = f"v{NEEDED[0]}_{NEEDED[1]}"
    found = parse(revision) if revision is not None else None
    if revision is None or (found is not None and found < NEEDED):
        return f"the database has {revision or 'no schema'} and {needed} is needed: run `lambdaagent migrate`"
    if found is None or found[0] > NEEDED[0]:
        return f"the database has schema {revision}, which is newer than this version supports; use a newer gateway"
    return None
