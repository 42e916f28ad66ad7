"""What callers do, by the names that rights have, and the kinds of credentials that a route accepts."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from lambdaagent.a2a.operations import Operation


class Action(StrEnum):
    DISCOVER = "discover"  # read cards, the catalogue and public keys
    INVOKE = "invoke"  # send a message or call a skill
    READ = "read"  # read, list and follow tasks
    CANCEL = "cancel"
    PUSH = "push"  # manage push notification configurations
    CARD = "card"  # read the extended card
    PUBLISH = "publish"  # send events to a namespace or a Broker
    EMIT = "emit"  # send events as an agent
    DELIVER = "deliver"  # deliver an event to an agent, as its Broker
    STORE_DEAD_LETTERS = "store-dead-letters"
    REGISTER = "register"  # register agents elsewhere, and change one's own
    COORDINATE = "coordinate"  # read and write what one owns or takes part in: messages, contexts, votes
    TRIGGER = "trigger"  # start a job by a webhook
    OBSERVE = "observe"  # read probes and metrics


class Credential(StrEnum):
    NONE = "none"  # nothing is asked for
    CALLER = "caller"  # identifies a caller
    CAPABILITY = "capability"  # the last segment of the URL
    SIGNATURE = "signature"  # over the body, by a secret of the URL's own


OF_OPERATION: Mapping[Operation, Action] = MappingProxyType(
    {
        Operation.SEND: Action.INVOKE,
        Operation.STREAM: Action.INVOKE,
        Operation.GET: Action.READ,
        Operation.LIST: Action.READ,
        Operation.SUBSCRIBE: Action.READ,
        Operation.CANCEL: Action.CANCEL,
        Operation.PUSH_PUT: Action.PUSH,
        Operation.PUSH_GET: Action.PUSH,
        Operation.PUSH_LIST: Action.PUSH,
        Operation.PUSH_DROP: Action.PUSH,
        Operation.EXTENDED_CARD: Action.CARD,
    }
)
