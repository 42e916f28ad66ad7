"""ARD 0.9, the search interface of a catalogue: reads a search, scores what fits, and names errors by its codes.

The score of an entry says how many of the question's words its best skill has, and how prominently; 100: all of them
in its tags. `ask` selects in the same way: the same agents and words give the same result.
"""

from dataclasses import dataclass
from typing import Literal

from lambdaagent import page_token
from lambdaagent.a2a import Json
from lambdaagent.coordination.ard_filter import EntryFilter, of_object
from lambdaagent.errors import PermanentError
from lambdaagent.mcp.selection import Match, Question

SEARCH_SIZE, LIST_SIZE, MOST = 10, 20, 100  # entries of a page: by default, and at most
Federation = Literal["auto", "referrals", "none"]
Position = tuple[int, bool, str, str]
"""Where a match stands: by its score, whether it can be called, and its name."""
_CODES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RATE_LIMIT_EXCEEDED"}


class BadSearchError(PermanentError):
    """The search cannot be made; the text names the field."""


@dataclass(frozen=True, slots=True)
class Search:
    text: str
    filter: EntryFilter
    federation: Federation
    size: int
    after: Position | None


def error_code(status: int) -> str:
    """Return the code of an HTTP status (appendix B)."""
    return _CODES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL_ERROR")


def read(body: object) -> Search:
    """Raises BadSearchError and BadFilterError."""
    if not isinstance(body, dict):
        raise BadSearchError("the body must be an object")
    _only(body, "the body", {"query", "federation", "pageSize", "pageToken"})
    query = body.get("query")
    if not isinstance(query, dict):
        raise BadSearchError("query must be an object with text")
    # Since 0.91 a query may say with @context what prefixes mean. Entries here have no prefixed terms.
    _only(query, "query", {"text", "filter", "@context"})
    text = query.get("text")
    if not isinstance(text, str) or not text.strip():
        raise BadSearchError("query.text must be a text that is not empty")
    federation, given = body.get("federation", "auto"), query.get("filter")
    if federation not in ("auto", "referrals", "none"):
        raise BadSearchError("federation must be auto, referrals or none")
    return Search(
        text=text,
        filter=of_object(given) if given is not None else EntryFilter(),
        federation=federation,
        size=size(body.get("pageSize", SEARCH_SIZE)),
        after=_position(body.get("pageToken")),
    )


def size(given: object) -> int:
    """Return the size of a page. A larger number than the specification's maximum means the maximum."""
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise BadSearchError("pageSize must be a whole number of at least 1")
    return min(given, MOST)


def position(match: Match) -> Position:
    return (-match.score, *match.candidate.order[:3])


def token(match: Match) -> str:
    """Return the token of the page that begins after a match."""
    score, not_ready, namespace, agent = position(match)
    return page_token.encode(f"{-score}/{int(not_ready)}/{namespace}/{agent}")


def score(question: Question, match: Match) -> int:
    """Return the relevance of a match, from 1 to 100."""
    return max(1, min(100, round(100 * match.score / question.most)))


def result(entry: Json, question: Question, match: Match, *, source: str) -> Json:
    """Return the entry as a result: with its score, its registry, and which words of the question led to it."""
    why: Json = {"why": match.why}
    if match.candidate.skill:
        why["skill"] = match.candidate.skill
    kept = {name: value for name, value in entry.items() if name != "representativeQueries"}
    return kept | {"metadata": why, "score": score(question, match), "source": source}


def _position(given: object) -> Position | None:
    if given is None or given == "":
        return None
    try:
        parts = page_token.decode(given if isinstance(given, str) else "").split("/")
        points, not_ready, namespace, agent = parts
        if len(points) > 9 or not (points.isascii() and points.isdigit()) or not_ready not in ("0", "1"):
            raise ValueError("these are no points")
        return -int(points), not_ready == "1", namespace, agent
    except ValueError:
        raise BadSearchError("pageToken is not a token that this gateway issued") from None


def _only(given: Json, where: str, known: set[str]) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        may = ", ".join(sorted(known))
        raise BadSearchError(f"{where} has the unknown field {unknown[0][:64]!r}; it may have {may}")
