"""Chooses skills by type or by a question's words. Pure: the same skills give the same choice, whatever their order.

What fits equally well is named and not guessed between, unless the caller leaves the choice to a strategy.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

Key = tuple[str, str]
_WORDS = re.compile(r"[^\W_]+")
_MOST_WORDS = 64
_SHORTEST = 3  # letters; shorter words, such as "to", say little about a skill
_COMMON = frozenset(
    [
        "all",
        "and",
        "any",
        "are",
        "can",
        "could",
        "does",
        "for",
        "from",
        "have",
        "how",
        "into",
        "its",
        "like",
        "not",
        "please",
        "that",
        "the",
        "their",
        "there",
        "them",
        "this",
        "was",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)
_TAG, _NAME, _TEXT = 8, 4, 1
_LEAST = _NAME  # one word of a tag or a name, or four of a description


@dataclass(frozen=True, slots=True)
class Candidate:
    """A skill that the caller may call."""

    namespace: str
    agent: str
    skill: str
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    ready: bool = True

    @property
    def key(self) -> Key:
        return self.namespace, self.agent

    @property
    def order(self) -> tuple[bool, str, str, str]:
        """Those that can be called come first, then it goes by name."""
        return not self.ready, self.namespace, self.agent, self.skill


@dataclass(frozen=True, slots=True)
class Match:
    candidate: Candidate
    score: int
    why: str


def by_type(candidates: Iterable[Candidate], type_: str) -> list[Match]:
    """Return the skills with this id; if there is none, those with this tag. Those that can be called come first."""
    ids: list[Match] = []
    tags: list[Match] = []
    for each in candidates:
        if each.skill == type_:
            ids.append(Match(each, 2, f"the id of its skill is {type_!r}"))
        elif type_.casefold() in (tag.casefold() for tag in each.tags):
            tags.append(Match(each, 1, f"its skill {each.skill!r} has the tag {type_!r}"))
    return sorted(ids or tags, key=lambda match: match.candidate.order)


def least_busy(matches: Sequence[Match], running: Mapping[Key, int]) -> Match:
    """Return the match, of those that can be called, whose agent has the fewest tasks; of equals the first by name."""

    def rank(each: Match) -> tuple[bool, int, tuple[bool, str, str, str]]:
        return not each.candidate.ready, running.get(each.candidate.key, 0), each.candidate.order

    return min(matches, key=rank)


def by_text(candidates: Iterable[Candidate], query: str) -> list[Match]:
    """Return the skills that have words of the question, the best first. Each word counts once, where it weighs most:
    in a tag, in the names, in descriptions and examples.
    """
    asked = _words(query)[:_MOST_WORDS]
    found = (_match(each, asked) for each in candidates)
    matches = [each for each in found if each is not None and each.score >= _LEAST]
    return sorted(matches, key=lambda each: (-each.score, each.candidate.order))


def best(matches: Sequence[Match]) -> list[Match]:
    """Return the first of the sorted matches, with all that fit as well."""
    return list(next((same for _, same in groupby(matches, key=lambda each: each.score)), ()))


def _match(candidate: Candidate, asked: Sequence[str]) -> Match | None:
    places = (
        (_TAG, "tags", frozenset(_words(*candidate.tags))),
        (_NAME, "name", frozenset(_words(candidate.agent, candidate.skill, candidate.name))),
        (_TEXT, "description", frozenset(_words(candidate.description, *candidate.examples))),
    )
    score = 0
    why: dict[str, list[str]] = {}
    for word in asked:
        for weight, place, words in places:
            if word in words:
                score += weight
                why.setdefault(place, []).append(word)
                break
    if not score:
        return None
    said = (f"{place}: {', '.join(why[place])}" for _, place, _ in places if place in why)
    return Match(candidate, score, f"words of the question in its {'; '.join(said)}")


def _words(*texts: str) -> list[str]:
    """Return the different words that say something, in small letters and without the s of a plural, in order."""
    words = (word for text in texts for word in _WORDS.findall(text.casefold()))
    found = (word for word in words if len(word) >= _SHORTEST and word not in _COMMON)
    return list(dict.fromkeys(word.removesuffix("s") if len(word) > _SHORTEST else word for word in found))
