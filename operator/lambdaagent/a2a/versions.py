"""Which protocol version a request uses (1.0 section 3.6).

An absent or empty `A2A-Version` means 0.3 by the specification. But the method names of the two versions do not
overlap, so the name decides and the header is only checked: a client that names a version which the agent does not
offer gets an error, a client that names none is served.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from lambdaagent.a2a.errors import A2AError, Problem

HEADER = "A2A-Version"
_MAJOR_MINOR = re.compile(r"(\d+\.\d+)(\.\d+)*")


class Version(StrEnum):
    V1 = "1.0"
    V03 = "0.3"


def parse(value: str | None) -> Version | None:
    """Return the version; None if the value is empty. Patch digits are ignored.

    Raises A2AError for any other version.
    """
    text = (value or "").strip()
    if not text:
        return None
    found = _MAJOR_MINOR.fullmatch(text)
    if found is not None and found[1] in ("1.0", "0.3"):
        return Version(found[1])
    raise A2AError(
        Problem.VERSION,
        f"A2A version {text[:32]!r} is not supported; this gateway speaks 1.0 and 0.3.",
        metadata={"supportedVersions": "1.0,0.3"},
    )


def require(version: Version, *, offered: Sequence[str]) -> None:
    if version not in offered:
        raise A2AError(
            Problem.VERSION,
            f"This agent does not offer A2A {version}; it offers {', '.join(offered)}.",
            metadata={"supportedVersions": ",".join(offered)},
        )
