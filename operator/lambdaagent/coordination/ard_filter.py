"""Which entries of a catalogue a client of ARD asks for, by the terms of an entry.

`POST /search` has an object of terms. `GET /agents` has an expression, whose grammar ARD does not publish; what its two
examples have in common is read: `term = 'value'` with several values between commas, and AND between terms. Either way
the values of one term are alternatives, and every term must be met. A term that no entry has is an error, because an
empty list would look like an answer.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lambdaagent.a2a import Json
from lambdaagent.errors import PermanentError

_MOST_VALUES, _VALUE = 100, 1_000  # of one term; characters of one value
_LONGEST = 8_000  # characters of an expression
_CLAUSE = re.compile(r"\s*([A-Za-z]{1,64})\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([^\s'\"]+))\s*")
_AND = re.compile(r"\bAND\b", re.IGNORECASE)


class BadFilterError(PermanentError):
    """The filter cannot be applied; the text names the term."""


def _publisher(entry: Json) -> list[str]:
    urn, kind, publisher, *_ = entry["identifier"].split(":")
    return [publisher] if (urn, kind) == ("urn", "air") else []


_TERMS: Mapping[str, Callable[[Json], list[str]]] = {
    "identifier": lambda entry: [entry["identifier"]],
    "displayName": lambda entry: [entry["displayName"].casefold()],
    "type": lambda entry: [entry["type"]],
    "tags": lambda entry: list(entry.get("tags", ())),
    "capabilities": lambda entry: list(entry.get("capabilities", ())),
    "publisher": _publisher,
}
_OF_EXPRESSION = {"publisherId": "publisher"}
"""Names that ARD has for a term in expressions only."""


@dataclass(frozen=True, slots=True)
class EntryFilter:
    terms: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def takes(self, entry: Json) -> bool:
        return all(not values.isdisjoint(_TERMS[term](entry)) for term, values in self.terms.items())


def of_object(given: object) -> EntryFilter:
    """Read the filter of a search. Raises BadFilterError."""
    if not isinstance(given, dict):
        raise BadFilterError("query.filter must be an object of terms and values")
    return EntryFilter({term: _values(term, values) for term, values in given.items() if _known(term)})


def of_expression(given: str) -> EntryFilter:
    """Read the filter of a list. Raises BadFilterError."""
    if len(given) > _LONGEST:
        raise BadFilterError(f"filter is longer than {_LONGEST} characters")
    terms: dict[str, frozenset[str]] = {}
    for clause in _AND.split(given) if given.strip() else ():
        found = _CLAUSE.fullmatch(clause)
        if found is None:
            raise BadFilterError(f"filter has {clause[:100]!r}; write term = 'value,value' with AND between terms")
        term = _OF_EXPRESSION.get(found[1], found[1])
        _known(term)
        if term in terms:
            raise BadFilterError(f"filter has the term {found[1]} twice; write its values between commas")
        terms[term] = _values(term, [each.strip() for each in (found[2] or found[3] or found[4] or "").split(",")])
    return EntryFilter(terms)


def _known(term: str) -> bool:
    if term not in _TERMS:
        raise BadFilterError(f"there is no term {term[:64]!r} to filter by; there are {', '.join(_TERMS)}")
    return True


def _values(term: str, given: object) -> frozenset[str]:
    values = given if isinstance(given, list) else [given]
    if not 0 < len(values) <= _MOST_VALUES or not all(isinstance(each, str) and len(each) <= _VALUE for each in values):
        raise BadFilterError(f"the values of {term} must be 1 to {_MOST_VALUES} texts of at most {_VALUE} characters")
    return frozenset(str(each).casefold() if term == "displayName" else str(each) for each in values)
