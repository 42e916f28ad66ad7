"""Chooses skills by type or by a question's words. Pure: the same skills give the same choice, whatever their order.

What fits equally well is named and not guessed between, unless the caller leaves the choice to a strategy.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

Key = tuple[str, str]
_WORDS = re.compile(r"[^\W_]+")
_MOST_WORDS, _MOST_TEXT = 64, 4_000  # of a question
_DESCRIPTION, _EXAMPLES, _EXAMPLE = 1_000, 8, 200  # characters, examples, characters of one
_SHORTEST = 3  # letters; shorter words, such as "to", say little about a skill
_COMMON = frozenset({
    "all", "and", "any", "are", "can", "could", "does", "for", "from", "have", "how", "into", "its", "like", "not",
    "please", "that", "the", "their", "there", "them", "this", "was", "what", "when", "where", "which", "who", "why",
    "will", "with", "would", "you", "your",
})  # fmt: skip
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


class Criterion(Protocol):
    """What a skill is chosen by. `match` costs a bounded time, so a caller can give others a turn between two."""

    def match(self, candidate: Candidate) -> Match | None: ...

    def ranked(self, matches: Iterable[Match]) -> list[Match]:
        """Return the matches that count, the best first."""
        ...


class Type:
    """The id of a skill, or if no skill has that id, a tag. Those that can be called come first."""

    def __init__(self, type_: str) -> None:
        self._id, self._tag = type_, type_.casefold()

    def match(self, candidate: Candidate) -> Match | None:
        if candidate.skill == self._id:
            return Match(candidate, 2, f"the id of its skill is {self._id!r}")
        if self._tag in (tag.casefold() for tag in candidate.tags):
            return Match(candidate, 1, f"its skill {candidate.skill!r} has the tag {self._id!r}")
        return None

    def ranked(self, matches: Iterable[Match]) -> list[Match]:
        return best(sorted(matches, key=_rank))


def least_busy(matches: Sequence[Match], running: Mapping[Key, int]) -> Match:
    """Return the match, of those that can be called, whose agent has the fewest tasks; of equals the first by name."""

    def rank(each: Match) -> tuple[bool, int, tuple[bool, str, str, str]]:
        return not each.candidate.ready, running.get(each.candidate.key, 0), each.candidate.order

    return min(matches, key=rank)


class Question:
    """The words of a question. Each word counts once, where it weighs most: in a tag, in the names, in descriptions and
    examples.
    """

    def __init__(self, text: str) -> None:
        self._words = _words(text[:_MOST_TEXT])[:_MOST_WORDS]

    @property
    def most(self) -> int:
        """The score of a skill that has every word in its tags."""
        return _TAG * len(self._words)

    def match(self, candidate: Candidate) -> Match | None:
        examples = (each[:_EXAMPLE] for each in candidate.examples[:_EXAMPLES])
        places = (
            (_TAG, "tags", frozenset(_words(*candidate.tags))),
            (_NAME, "name", frozenset(_words(candidate.agent, candidate.skill, candidate.name))),
            (_TEXT, "description", frozenset(_words(candidate.description[:_DESCRIPTION], *examples))),
        )
        score = 0
        why: dict[str, list[str]] = {}
        for word in self._words:
            for weight, place, words in places:
                if word in words:
                    score += weight
                    why.setdefault(place, []).append(word)
                    break
        if score < _LEAST:
            return None
        said = (f"{place}: {', '.join(why[place])}" for _, place, _ in places if place in why)
        return Match(candidate, score, f"words of the question in its {'; '.join(said)}")

    def ranked(self, matches: Iterable[Match]) -> list[Match]:
        return sorted(matches, key=_rank)


def best(matches: Sequence[Match]) -> list[Match]:
    """Return the first of the sorted matches, with all that fit as well."""
    return list(next((same for _, same in groupby(matches, key=lambda each: each.score)), ()))


def _rank(match: Match) -> tuple[int, tuple[bool, str, str, str]]:
    return -match.score, match.candidate.order


def _words(*texts: str) -> list[str]:
    """Return the different words that say something, in small letters and without the s of a plural."""
    words = (word for text in texts for word in _WORDS.findall(text.casefold()))
    found = (word for word in words if len(word) >= _SHORTEST and word not in _COMMON)
    return list(dict.fromkeys(word.removesuffix("s") if len(word) > _SHORTEST else word for word in found))
