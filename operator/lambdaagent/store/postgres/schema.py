"""Which schema this code needs, and whether a database has one that will do.

Revisions are called `v<major>_<minor>`. A minor one only adds, so that gateways of the version before go on working
while it is there (expand). What they would trip over, such as a column that goes, waits for a major one, which is
released only after no supported version uses it (contract). So a gateway runs on its own major and any later minor.
"""

import re

NEEDED = (1, 3)
TABLE = "lambdaagent_schema"


def parse(revision: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"v(\d+)_(\d+)", revision)
    return (int(found[1]), int(found[2])) if found else None


def problem(revision: str | None) -> str | None:
    """What keeps a gateway of this version from using a database of that revision; None: nothing."""
    needed = f"v{NEEDED[0]}_{NEEDED[1]}"
    found = parse(revision) if revision is not None else None
    if revision is None or (found is not None and found < NEEDED):
        return f"the database has {revision or 'no schema'} and {needed} is needed: run `lambdaagent migrate`"
    if found is None or found[0] > NEEDED[0]:
        return f"the database has schema {revision}, which is newer than this version: it needs a newer gateway"
    return None
