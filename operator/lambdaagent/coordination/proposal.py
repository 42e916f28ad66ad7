"""Proposals and votes: who may vote is fixed when a proposal opens, and its rule decides exactly.

With n electors: `majority` takes an option with more than n/2 votes; `plurality` the one with the most votes, and a tie
is none; `unanimous` one that all electors chose; `quorum` takes the option with the most votes of those that were cast,
if at least so many electors voted, abstentions included. `abstain` is never taken.

A proposal with the options yes and no is accepted if yes is taken. One with options of its own is accepted if any is,
which is its outcome. At its deadline, what the missing votes could still have accepted is expired; all else that is not
accepted is rejected.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lambdaagent.a2a import Json
from lambdaagent.clock import rfc3339
from lambdaagent.coordination.bodies import Body, Id, Metadata, Text
from lambdaagent.coordination.message import Name

YES, NO, ABSTAIN = "yes", "no", "abstain"
MOST_ELECTORS = 1_000
Rule = Literal["majority", "plurality", "unanimous", "quorum"]
Status = Literal["open", "accepted", "rejected", "expired"]
Option = Annotated[str, Field(min_length=1, max_length=255)]


class NewProposal(Body):
    from_: Annotated[Name, Field(alias="from")]
    proposal_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_.:-]+$")] | None = None
    title: Annotated[str, Field(min_length=1, max_length=1024)]
    description: Text = ""
    data: Metadata = {}
    options: Annotated[list[Option], Field(min_length=2, max_length=50)] = [YES, NO]
    electorate: Annotated[list[Id | Name], Field(min_length=1, max_length=MOST_ELECTORS)]
    rule: Rule = "majority"
    quorum: Annotated[int, Field(ge=1, le=MOST_ELECTORS)] | None = None
    deadline_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3600
    close_when_all_voted: bool = True

    @model_validator(mode="after")
    def _exact(self) -> "NewProposal":
        if ABSTAIN in self.options or len(set(self.options)) != len(self.options):
            raise ValueError("options must differ, and abstain is always one")
        if len(set(self.electorate)) != len(self.electorate):
            raise ValueError("the electorate names somebody twice")
        if self.quorum is not None and self.rule != "quorum":
            raise ValueError("quorum needs the rule quorum")
        if self.quorum is not None and self.quorum > len(self.electorate):
            raise ValueError(f"a quorum of {self.quorum} cannot be reached by {len(self.electorate)} electors")
        return self


class NewVote(Body):
    from_: Annotated[Name, Field(alias="from")]
    choice: Option
    reason: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    proposal_id: str
    proposer: str
    title: str
    description: str
    data: Json
    options: Sequence[str]
    electorate: Sequence[str]
    rule: str
    quorum: int
    deadline: float
    close_when_all_voted: bool
    status: str = "open"
    outcome: str = ""
    tally: Mapping[str, int] = field(default_factory=dict)
    created_at: float = 0.0
    decided_at: float = 0.0
    created_by: str = ""


def taken(proposal: Proposal, votes: Mapping[str, str]) -> str | None:
    """Return the option that the rule takes by these votes (voter to choice), or None."""
    counted = Counter(choice for choice in votes.values() if choice != ABSTAIN)
    ordered = counted.most_common(2)
    if not ordered:
        return None
    best, most = ordered[0]
    if proposal.rule == "majority":
        return best if 2 * most > len(proposal.electorate) else None
    if proposal.rule == "unanimous":
        return best if most == len(proposal.electorate) else None
    if proposal.rule == "quorum" and len(votes) < proposal.quorum:
        return None
    return best if len(ordered) == 1 or most > ordered[1][1] else None


def verdict(proposal: Proposal, votes: Mapping[str, str], *, at_deadline: bool) -> tuple[Status, str]:
    """Return the status of the closed proposal, and the option that was taken."""
    found = taken(proposal, votes)
    binary = set(proposal.options) == {YES, NO}
    if found is not None:
        return ("accepted" if not binary or found == YES else "rejected"), found
    if not at_deadline:
        return "rejected", ""
    return ("expired" if _open(proposal, votes) else "rejected"), ""


def _open(proposal: Proposal, votes: Mapping[str, str]) -> bool:
    """Return whether the electors who have not voted could still have it accepted. A tie of votes is decided."""
    missing = len(proposal.electorate) - len(votes)
    if not missing:
        return False
    counted = Counter(choice for choice in votes.values() if choice != ABSTAIN)
    if proposal.rule == "plurality":
        return not counted
    if proposal.rule == "quorum":
        return len(votes) < proposal.quorum
    wanted = [YES] if set(proposal.options) == {YES, NO} else list(proposal.options)
    reachable = max(counted[option] for option in wanted) + missing
    enough = len(proposal.electorate) if proposal.rule == "unanimous" else len(proposal.electorate) // 2 + 1
    return reachable >= enough


def tally(proposal: Proposal, votes: Mapping[str, str]) -> dict[str, int]:
    counted = Counter(votes.values())
    return {option: counted[option] for option in (*proposal.options, ABSTAIN)}


def shown(proposal: Proposal, votes: Mapping[str, str] | None = None) -> Json:
    """Return the proposal as its proposer and its electors read it."""
    found: Json = {
        "proposal_id": proposal.proposal_id,
        "from": proposal.proposer,
        "title": proposal.title,
        "description": proposal.description,
        "data": proposal.data,
        "options": list(proposal.options),
        "electorate": list(proposal.electorate),
        "rule": proposal.rule,
        "deadline": rfc3339(proposal.deadline),
        "status": proposal.status,
        "created_at": rfc3339(proposal.created_at),
    }
    if proposal.rule == "quorum":
        found["quorum"] = proposal.quorum
    if proposal.status != "open":
        found |= {
            "outcome": proposal.outcome,
            "tally": dict(proposal.tally),
            "decided_at": rfc3339(proposal.decided_at),
        }
    if votes is not None:
        found["votes"] = dict(votes)
    return found
