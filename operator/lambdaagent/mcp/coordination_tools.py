"""Definitions of the tools by which a host registers agents and has agents work together.

Only the endpoint of the whole platform has them: what they do concerns agents of any namespace.
"""

from lambdaagent.a2a import Json
from lambdaagent.mcp.tool_schemas import object_, text, texts, tool

REGISTER, CONTEXT, PROPOSE, VOTE = "a2a_register_agent", "a2a_context", "a2a_propose", "a2a_vote"
CREATE_JOB, JOB_STATUS = "a2a_create_job", "a2a_job_status"
_TEXT: Json = {"type": "string", "maxLength": 4096}
_ID: Json = {"type": "string", "minLength": 1, "maxLength": 255}
_FROM: Json = {**_ID, "description": "The agent that you act for, one that you registered; default: yourself."}
_STATUS = text("pending, assigned, running, completed, failed or cancelled.")


def _result(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": required}


_PROPOSAL = _result(
    ["proposal_id", "status"],
    proposal_id=text("Id of the proposal."),
    status=text("open, accepted, rejected or expired."),
    outcome=text("The option that was taken."),
    votes={"type": "object", "description": "The choice of each elector that has voted."},
)
_JOB = _result(
    ["job_id", "status"],
    job_id=text("Id of the job, for a2a_job_status."),
    status=_STATUS,
    output_data={"type": "object", "description": "The result."},
    error_message={"type": ["string", "null"], "description": "Why it failed."},
)

DEFINITIONS: tuple[Json, ...] = (
    tool(
        REGISTER,
        "Register an agent",
        "Registers an agent elsewhere by its URL, so that others find, call and message it.",
        object_(
            ["name", "endpoint_url", "capabilities"],
            name={**_ID, "description": "Name of the agent."},
            endpoint_url={"type": "string", "maxLength": 500, "description": "URL of the agent, http or https."},
            capabilities={
                "type": ["object", "array"],
                "description": "What it can do: a list of names, or {methods: [names]}.",
            },
            description={**_TEXT, "description": "What it does."},
        ),
        _result(
            ["agent_id", "status"],
            agent_id=text("Its id, by which it is found, called and sent messages."),
            status=text("active, inactive or suspended."),
        ),
    ),
    tool(
        CONTEXT,
        "Shared context",
        "Reads or changes JSON that agents share. A change with version is refused if there is a newer one.",
        object_(
            ["action", "context_id"],
            action={"enum": ["get", "patch"], "description": "Whether to read or to change it."},
            context_id={**_ID, "description": "Id of a context in which you take part."},
            patch={"type": "object", "description": "The change, a JSON Merge Patch: null deletes a key."},
            version={"type": "integer", "minimum": 0, "description": "The version that the change is for."},
        ),
        _result(
            ["context_id", "data", "version"],
            context_id=text("Id of the context."),
            data={"type": "object", "description": "What is shared."},
            version={"type": "integer", "description": "Its version, which each change raises."},
        ),
    ),
    tool(
        PROPOSE,
        "Propose",
        "Opens a proposal on which agents vote. Each elector gets a message that asks for its vote.",
        object_(
            ["title", "electorate"],
            title={"type": "string", "minLength": 1, "maxLength": 1024, "description": "What is decided."},
            electorate={**texts("Ids of those who vote."), "minItems": 1, "maxItems": 1000},
            description={**_TEXT, "description": "What the electors have to know."},
            data={"type": "object", "description": "The same as JSON."},
            options={**texts("What they choose from, besides abstain; default: yes and no."), "minItems": 2},
            rule={
                "enum": ["majority", "plurality", "unanimous", "quorum"],
                "default": "majority",
                "description": "How votes decide.",
            },
            quorum={"type": "integer", "minimum": 1, "description": "With the rule quorum: how many must vote."},
            deadline_seconds={"type": "integer", "minimum": 1, "default": 3600, "description": "Time to vote."},
            **{"from": _FROM},
        ),
        _PROPOSAL,
    ),
    tool(
        VOTE,
        "Vote",
        "Votes on a proposal of which you are an elector, or changes your vote while it is open.",
        object_(
            ["proposal_id", "choice"],
            proposal_id={**_ID, "description": "Id of the proposal."},
            choice={**_ID, "description": "yes, no, abstain, or one of the proposal's options."},
            reason={**_TEXT, "description": "Why."},
            **{"from": _FROM},
        ),
        _PROPOSAL,
    ),
    tool(
        CREATE_JOB,
        "Create a job",
        "Has a task done by an agent that can do it, with retries; returns at once. Read it with a2a_job_status.",
        object_(
            ["input_data"],
            input_data={"type": "object", "description": "What the agent gets."},
            task_type={"type": "string", "minLength": 1, "maxLength": 100, "description": "Id or tag of a skill."},
            task_id={**_ID, "description": "A task that you defined, in place of task_type."},
            agent_id={**_ID, "description": "The only agent that may do it."},
            strategy={
                "enum": ["auto", "round-robin", "by-capacity"],
                "description": "Which agent gets it.",
            },
            priority={"type": "integer", "minimum": 1, "maximum": 10, "description": "10 is first; default: 5."},
        ),
        _JOB,
    ),
    tool(
        JOB_STATUS,
        "Job status",
        "Reads a job of yours: its status, its agent and its result.",
        object_(["job_id"], job_id={**_ID, "description": "Id of a job of yours."}),
        _JOB,
        reads=True,
    ),
)
NAMES = frozenset(each["name"] for each in DEFINITIONS)
