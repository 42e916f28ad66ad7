"""Where the expressions of a workflow stand, and how their results come back into a value.

In data (`set`, `with`, ...) an expression is a whole text `${ ... }`. Where the specification wants an expression
(`if`, `when`, `in`, `input.from`, ...) it may also stand without the braces.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

LONGEST = 4096
ARGUMENTS = ("context", "input", "output", "task", "workflow", "runtime")
"""What every expression may use, with `$` before it."""
_WHOLE = re.compile(r"\s*\$\{(.*)\}\s*", re.DOTALL)


def of_text(text: str) -> str | None:
    """Return the expression that a text of data is; None: it is only a text."""
    found = _WHOLE.fullmatch(text)
    return found[1].strip() if found is not None else None


def bare(text: str) -> str:
    """Return the expression where one is wanted."""
    return of_text(text) or text.strip()


def within(value: Any) -> Iterator[str]:
    """Yield the expressions of data, in the order in which `filled` takes their results."""
    if isinstance(value, str):
        found = of_text(value)
        if found is not None:
            yield found
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from within(each)
    elif isinstance(value, list):
        for each in value:
            yield from within(each)


def filled(value: Any, results: Iterator[Any]) -> Any:
    """Return data with the results in place of its expressions."""
    if isinstance(value, str):
        return next(results) if of_text(value) is not None else value
    if isinstance(value, Mapping):
        return {name: filled(each, results) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, results) for each in value]
    return value


_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def interpolated(template: str, value: Any, *, quote: Callable[[str], str]) -> str | None:
    """Return a URI template with the members of an object in place of `{name}`; None if one is missing or no scalar."""
    known = value if isinstance(value, Mapping) else {}

    missing: list[str] = []

    def put(found: re.Match[str]) -> str:
        member = known.get(found[1])
        if isinstance(member, bool | str | int | float):
            return quote(str(member).lower() if isinstance(member, bool) else str(member))
        missing.append(found[1])
        return ""

    made = _PLACE.sub(put, template)
    return None if missing else made
