"""The reasons in `status.warnings`, and what each means for the author of the field."""

from enum import StrEnum


class WarningReason(StrEnum):
    meaning: str

    def __new__(cls, value: str, meaning: str) -> "WarningReason":
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    UNKNOWN_POD_SECURITY = "UnknownPodSecurity", "The annotation names no level; the installation's counts."
    DUPLICATE_ENV = "DuplicateEnv", "A variable stands more than once; the last one counts."
    ENV_OVERRIDDEN = "EnvOverridden", "A variable is set that the operator would set; the given value counts."
    NO_APPROVAL = "NoApproval", "A supervised agent is told of nobody to ask."
    KNATIVE_ONLY = "KnativeOnly", "The field works on Knative and not with the backend of this installation."
    KNATIVE_LIMIT = "KnativeLimit", "Knative refuses the value unless the cluster's configuration is changed."
    KNATIVE_SIDECAR = "KnativeSidecar", "Beside a sidecar Knative allows the agent's container no probes of its own."
    SCALE_TO_ZERO = "ScaleToZeroUnsupported", "Plain Kubernetes keeps one pod."
    NEEDS_CPU_REQUEST = "AutoscalingNeedsCpuRequest", "Plain Kubernetes scales on CPU, and no request says of how much."
    WILDCARD = "WildcardUnsupported", "RabbitMQ matches exactly, so a wildcard would match nothing; no Trigger is made."
    SELF_LOOP = "SelfLoop", "The agent will be sent events that it emits itself."
    OWN_EVENTS = "OwnEvents", "The agent will get its own events although it asks not to."
    NEEDS_EVENTING = "NeedsEventing", "A call of this skill travels as an event, and the agent takes none."
    FORWARD_NOT_SUBSCRIBED = "ForwardNotSubscribed", "The target of a forward does not subscribe to the types."
    INTENT_NOT_SUBSCRIBED = "IntentNotSubscribed", "Nobody on the Broker subscribes to types that the agent emits."
    NO_DEAD_LETTER_SINK = "NoDeadLetterSink", "Without a gateway, events that cannot be delivered are dropped."
    NO_GATEWAY = "NoGateway", "Without a gateway, the agent cannot be called over A2A."
    OTHER_PROTOCOL = "OtherProtocol", "The field belongs to another protocol than the agent's."
    TIMEOUT_SHORTER = "ServingTimeoutShorter", "Knative ends an answer before the skill's time is over."
    NO_MONITOR = "ServiceMonitorUnavailable", "The cluster does not serve ServiceMonitors."
    NOT_ENFORCED = "NotEnforced", "The field says what should be; nothing enforces it."
    NOT_SUPPORTED = "NotSupported", "The field is part of the API and not built yet."
    CONTESTED = "FieldContested", "Somebody else sets a field of a child again and again; it is left as it is."
    MORE = "MoreWarnings", "There are more warnings than status holds; `lambdaagent validate` prints all."
