"""Task states and roles in the spellings of both versions (1.0 section 4.1.3; 0.3 section 6.3)."""

from enum import StrEnum


class TaskState(StrEnum):
    UNSPECIFIED = "TASK_STATE_UNSPECIFIED"
    SUBMITTED = "TASK_STATE_SUBMITTED"
    WORKING = "TASK_STATE_WORKING"
    COMPLETED = "TASK_STATE_COMPLETED"
    FAILED = "TASK_STATE_FAILED"
    CANCELED = "TASK_STATE_CANCELED"
    INPUT_REQUIRED = "TASK_STATE_INPUT_REQUIRED"
    REJECTED = "TASK_STATE_REJECTED"
    AUTH_REQUIRED = "TASK_STATE_AUTH_REQUIRED"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL

    @property
    def settled(self) -> bool:
        """Whether nothing more happens without the client: the state is terminal, or the task waits for input."""
        return self in _TERMINAL or self in _INTERRUPTED

    @property
    def v03(self) -> str:
        return _V03[self]


_TERMINAL = frozenset((TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED))
_INTERRUPTED = frozenset((TaskState.INPUT_REQUIRED, TaskState.AUTH_REQUIRED))
_V03 = {state: state.removeprefix("TASK_STATE_").lower().replace("_", "-") for state in TaskState} | {
    TaskState.UNSPECIFIED: "unknown"
}
# ProtoJSON accepts an enum's number too, and two spellings of "canceled" are in use.
_ANY: dict[str | int, TaskState] = (
    {str(state): state for state in TaskState}
    | {state.removeprefix("TASK_STATE_").lower(): state for state in TaskState}
    | {name: state for state, name in _V03.items()}
    | {"TASK_STATE_CANCELLED": TaskState.CANCELED, "cancelled": TaskState.CANCELED}
    | dict(enumerate(TaskState))
)


def parse_state(value: object) -> TaskState | None:
    """Return the state of any spelling of any version; None if it is not a state."""
    return _ANY.get(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None


class Role(StrEnum):
    USER = "ROLE_USER"
    AGENT = "ROLE_AGENT"


_ROLES: dict[str | int, Role] = {
    "ROLE_USER": Role.USER, "user": Role.USER, 1: Role.USER,
    "ROLE_AGENT": Role.AGENT, "agent": Role.AGENT, 2: Role.AGENT,
}  # fmt: skip


def parse_role(value: object) -> Role | None:
    return _ROLES.get(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
