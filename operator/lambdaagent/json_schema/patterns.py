"""Regular expressions of others, matched in linear time.

Python's `re` tries alternatives one after another, so that a short pattern and a short text can take hours, and holds
the interpreter meanwhile. These run on the Rust engine of pydantic, which has no look-around and no back-references.
Its cost is still the length of the text times the size of the compiled pattern, so both are limited: `weight` estimates
the size without compiling anything.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

LONGEST = 256  # characters of a pattern
LONGEST_TEXT = 4096
"""Characters of a text that is matched. The heaviest pattern that `weight` lets pass takes 50 ms for such a text."""
_UNICODE, _CLASS, _GROUP = 64, 16, 2  # the weights of \\w, of \\d and of a group, in units of a letter
_ATOM = re.compile(
    r"\\[pP]\{[^}]*\}|\\x\{[^}]*\}|\\u\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,?\d*\}|[()*+?|]|.", re.DOTALL
)
_REPEATED = re.compile(r"\{(\d*),?(\d*)\}")


class PatternError(ValueError):
    """The pattern is refused; the message says why."""


@lru_cache(maxsize=1024)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Return whether the pattern occurs in a text. Raises PatternError."""
    if len(pattern) > LONGEST:
        raise PatternError(f"is longer than {LONGEST} characters")
    try:
        found = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True))
    except SchemaError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        reason = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[-1])
        raise PatternError(f"cannot be used: {reason}") from None
    return found.isinstance_python


def weight(pattern: str) -> int:
    """Return an estimate of the compiled size. What is repeated counts once for each time."""
    groups, last = [0], 0
    for found in _ATOM.finditer(pattern):
        atom = found[0]
        if atom == "(":
            groups.append(0)
        elif atom == ")" and len(groups) > 1:
            last = groups.pop() + _GROUP
            groups[-1] += last
        elif (repeated := _REPEATED.fullmatch(atom)) is not None:
            times = max((int(bound[:6]) for bound in repeated.groups() if bound), default=1)
            groups[-1] += last * max(times - 1, 0)
            last *= max(times, 1)
        elif atom not in "*+?|":
            last = _weight_of(atom)
            groups[-1] += last
    return sum(groups)


def _weight_of(atom: str) -> int:
    if atom[0] == "[":
        return len(atom) + sum(map(_of_escape, re.findall(r"\\.", atom))) + _CLASS * atom.startswith("[^")
    return _CLASS if atom == "." else max(_of_escape(atom[:2]), 1)


def _of_escape(escape: str) -> int:
    if escape in (r"\d", r"\s"):
        return _CLASS
    return _UNICODE if re.fullmatch(r"\\[wWDSpPbB]", escape) else 0
