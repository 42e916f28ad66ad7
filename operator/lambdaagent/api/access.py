"""The fields of an agent that say who may call it (design section 9)."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import DNS_LABEL, ApiModel, rules

PRINCIPAL = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?:\S+$"
ACCOUNT = DNS_LABEL[:-1] + r"/([a-z0-9]([-a-z0-9.]*[a-z0-9])?|[*])$"
Text = Annotated[str, Field(min_length=1, max_length=512)]


# What the gateway or HTTP itself sets in a request to a container.
_OWN_HEADERS = (
    "connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive",
    "lambdaagent-identity", "proxy-authorization", "proxy-connection", "te", "traceparent", "trailer",
    "transfer-encoding", "upgrade", "x-request-id",
)  # fmt: skip
ForwardHeader = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$",
        max_length=64,
        json_schema_extra=rules(
            (
                f"!self.startsWith('ce-') && !self.startsWith('a2a-') && !(self in {list(_OWN_HEADERS)})",
                "the gateway sets this header itself",
            )
        ),
    ),
]


CREDENTIAL_HEADERS = frozenset(("authorization", "cookie", "x-api-key"))


def is_own_header(name: str) -> bool:
    """Return whether clients can never set this header of a request to a container."""
    return name.startswith(("ce-", "a2a-")) or name in _OWN_HEADERS


class Grant(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.principals) && size(self.principals) > 0 || has(self.groups) && size(self.groups) > 0"
                " || has(self.serviceAccounts) && size(self.serviceAccounts) > 0"
                " || has(self.claims) && size(self.claims) > 0",
                "a grant names somebody: principals, groups, serviceAccounts or claims",
            )
        )
    )
    principals: Annotated[
        list[Annotated[str, Field(pattern=PRINCIPAL, max_length=512)]],
        Field(
            max_length=64,
            description=(
                "Callers, as source:name: {issuer}:{subject}, key:{id}, hmac:{id} or agent:{namespace}/{name}."
            ),
        ),
    ] = []
    groups: Annotated[
        list[Text],
        Field(
            max_length=64,
            description="Groups of callers, as {issuer}:{group}, or as the cluster or the access file names them.",
        ),
    ] = []
    service_accounts: Annotated[
        list[Annotated[str, Field(pattern=ACCOUNT, max_length=317)]],
        Field(
            max_length=64,
            description="ServiceAccounts of the cluster, as namespace/name, or namespace/* for all of a namespace.",
        ),
    ] = []
    claims: Annotated[
        dict[str, Annotated[list[Text], Field(min_length=1, max_length=64)]],
        Field(
            max_length=16,
            description=(
                "Claims that the caller's token must have, each with one of the listed values. Together with"
                " principals, groups or serviceAccounts, both must hold."
            ),
        ),
    ] = {}
    skills: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]],
        Field(max_length=128, description="Skills that the grant is for. Defaults to all of them."),
    ] = []
    actions: Annotated[
        list[Literal["invoke", "read", "cancel", "push", "card"]],
        Field(
            max_length=5,
            description=(
                "What the callers may do: send messages (invoke), read their tasks (read), cancel them (cancel), manage"
                " their push notifications (push), read the extended card (card). Defaults to all."
            ),
        ),
    ] = []


class SkillLimits(ApiModel):
    requests_per_minute: Annotated[
        int,
        Field(ge=1, le=1_000_000, description="Calls a minute of each caller to the skill; more get status 429."),
    ]
    burst: Annotated[
        int | None,
        Field(
            ge=1, le=1_000_000, description="Calls that a caller may make at once. Defaults to those of ten seconds."
        ),
    ] = None


class CallerLimits(ApiModel):
    requests_per_minute: Annotated[
        int | None,
        Field(
            ge=1,
            le=1_000_000,
            description="Requests a minute of each caller to the agent; more get status 429. Defaults to no limit.",
        ),
    ] = None
    concurrent_tasks: Annotated[
        int | None,
        Field(
            ge=1,
            le=10_000,
            description=(
                "Tasks of each caller at the agent on which it works at once; a further message gets status 429."
                " Tasks that wait for their caller do not count. Defaults to no limit."
            ),
        ),
    ] = None
    burst: Annotated[
        int | None,
        Field(
            ge=1,
            le=1_000_000,
            description="Requests that a caller may send at once. Defaults to those of ten seconds.",
        ),
    ] = None


class Access(ApiModel):
    public: Annotated[
        bool,
        Field(
            description=(
                "If true, everybody may call the agent, without a credential too, if the installation allows public"
                " agents. All callers without a credential share their tasks. Defaults to false."
            )
        ),
    ] = False
    identity: Annotated[
        Literal["none", "assertion"],
        Field(
            description=(
                "Whether requests to the container tell who asks (assertion): the header LambdaAgent-Identity holds a"
                " signed token, which the keys at the gateway's /.well-known/jwks.json verify. Defaults to none."
            )
        ),
    ] = "none"
    network_policy: Annotated[
        bool,
        Field(
            description=(
                "If true, a NetworkPolicy lets only the installation reach the agent's port: the gateway, what delivers"
                " events, and with protocol a2a the operator. The cluster's network plugin must enforce it. On plain"
                " Kubernetes only; on Knative, where requests arrive through the activator, none is created. Defaults"
                " to false."
            )
        ),
    ] = False
    grants: Annotated[
        list[Grant],
        Field(
            max_length=64,
            description=(
                "Who may call the agent; one matching grant suffices. Without a grant, those whom the cluster's RBAC"
                " allows to create lambdaagents/invoke, and the installation's administrators."
            ),
        ),
    ] = []
