"""Which skill a message means, and whether the skill accepts the message. Pure."""

from lambdaagent.a2a import Json, modes
from lambdaagent.a2a.errors import A2AError, Problem, Violation, invalid
from lambdaagent.api.skills import Skill
from lambdaagent.containers.callee import Callee


def skill_of(callee: Callee, message: Json, *, default: str | None = None) -> Skill | None:
    """Return the skill of `metadata.skillId`, else the task's own (`default`), else the only one, else None.

    Raises A2AError that names the known skills.
    """
    named = message.get("metadata", {}).get("skillId", default)
    if named is None:
        return next(iter(callee.skills.values())) if len(callee.skills) == 1 else None
    skill = callee.skills.get(named) if isinstance(named, str) else None
    if skill is None:
        known = ", ".join(id_ for id_ in callee.skills if id_ not in callee.private) or "none"
        raise invalid(
            Violation("message.metadata.skillId", f"there is no skill {str(named)[:64]!r}; known are: {known}")
        )
    return skill


def require_modes(callee: Callee, skill: Skill | None, message: Json) -> None:
    """Raise A2AError for a part outside the skill's input modes, if enforceModes is set. Else the container decides."""
    if not callee.enforce_modes or skill is None:
        return
    for part in message["parts"]:
        kind = modes.part_media_type(part)
        if not modes.accepts(skill.input_modes, kind):
            raise A2AError(
                Problem.CONTENT_TYPE,
                f"The skill {skill.id!r} accepts {', '.join(skill.input_modes)}, not {kind[:100]}.",
                metadata={"mediaType": kind[:100]},
            )
