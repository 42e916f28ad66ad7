"""The reasons in `status.warnings`, and what each means for the author of the field."""

from enum import StrEnum


class WarningReason(StrEnum):
    meaning: str

    def __new__(cls, value: str, meaning: str) -> "WarningReason":
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    UNKNOWN_POD_SECURITY = (
        "UnknownPodSecurity",
        "The annotation has an unknown value; the installation's setting applies.",
    )
    DUPLICATE_ENV = "DuplicateEnv", "A variable is set more than once; the last value applies."
    ENV_OVERRIDDEN = "EnvOverridden", "The spec sets a variable that the operator would set; the spec's value applies."
    NO_APPROVAL = "NoApproval", "The agent is supervised and has no approval block."
    KNATIVE_ONLY = "KnativeOnly", "The field has an effect on Knative, but not with the backend of this installation."
    KUBERNETES_ONLY = (
        "KubernetesOnly",
        "The field has an effect on plain Kubernetes, but not with the backend of this installation.",
    )
    METRICS_CLOSED = "MetricsClosed", "The agent's NetworkPolicy keeps Prometheus from its metrics."
    KNATIVE_LIMIT = "KnativeLimit", "Knative refuses the value unless the cluster's configuration is changed."
    KNATIVE_SIDECAR = "KnativeSidecar", "With a sidecar, Knative allows no probes of the agent's container."
    SCALE_TO_ZERO = "ScaleToZeroUnsupported", "Plain Kubernetes does not scale to zero; it keeps one pod."
    NEEDS_CPU_REQUEST = (
        "AutoscalingNeedsCpuRequest",
        "Plain Kubernetes scales by CPU use, which requires a CPU request.",
    )
    NOT_ENCRYPTED = "NotEncrypted", "A credential is sent over a connection without TLS."
    NO_PODS = "NoPods", "The agent is an external one (spec.external), and has no pods that the field is for."
    WILDCARD = (
        "WildcardUnsupported",
        "RabbitMQ matches exact values, so a wildcard would match nothing; no Trigger is created.",
    )
    SELF_LOOP = "SelfLoop", "The agent subscribes to a type that it emits, so it receives its own events."
    OWN_EVENTS = "OwnEvents", "The agent receives its own events although skipOwn is true."
    NEEDS_EVENTING = "NeedsEventing", "Calls of this skill travel as events, and the agent cannot receive them."
    FORWARD_NOT_SUBSCRIBED = "ForwardNotSubscribed", "The target of a forward does not subscribe to all of its types."
    INTENT_NOT_SUBSCRIBED = (
        "IntentNotSubscribed",
        "Types that the agent emits have no subscriber on the Broker; such events are dropped.",
    )
    NO_DEAD_LETTER_SINK = "NoDeadLetterSink", "Without a gateway, events that cannot be delivered are dropped."
    NO_GATEWAY = "NoGateway", "Without a gateway, the agent cannot be called over A2A."
    OTHER_PROTOCOL = "OtherProtocol", "The field has an effect only with another protocol than the agent's."
    TIMEOUT_SHORTER = "ServingTimeoutShorter", "Knative ends a response before the skill's timeout expires."
    NO_MONITOR = (
        "ServiceMonitorUnavailable",
        "The cluster does not serve the API of ServiceMonitors, so none is created.",
    )
    CREDENTIAL_FORWARDED = (
        "CredentialForwarded",
        "The container gets the callers' credentials, and can use them elsewhere in their name.",
    )
    NO_SKILLS = "NoSkills", "The agent has no skills, and its container cannot be called without them."
    UNKNOWN_SKILL = "UnknownSkill", "The field names a skill that the agent does not have."
    NOT_ENFORCED = "NotEnforced", "The field is shown in status, but nothing enforces it."
    NOT_SUPPORTED = "NotSupported", "The field is part of the API, but is not implemented."
    CONTESTED = (
        "FieldContested",
        "Another client repeatedly sets a field of a child; the operator no longer changes it.",
    )
    MORE = "MoreWarnings", "There are more warnings than status can hold; `lambdaagent validate` prints all."
