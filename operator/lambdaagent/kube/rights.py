"""The rights of each process at the API server, as one table from which all Roles are rendered.

The table contains what the code needs and no more. The integration tests run the operator with exactly these rights, so
a request without a right fails there with 403. An apply needs `patch` and `create` (the server checks both if the
object is new); a watch lists first. No process may read a Secret: children refer to Secrets, and the kubelet reads
them. An installation may let the operator read single ones, for the tools of agents (`kube.secrets`).

Hazard: an account that may create workloads in a namespace can mount its Secrets in them. No rule can prevent this for
an operator that creates workloads. The rights only keep Secrets out of the operator itself, its logs and its status.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lambdaagent.api import naming
from lambdaagent.kube import resources as kinds
from lambdaagent.kube.resources import Resource
from lambdaagent.settings import INSTALLED_IN

OPERATOR, GATEWAY, DISPATCHER = "lambdaagent-operator", "lambdaagent-gateway", "lambdaagent-dispatcher"
ACCOUNTS = (OPERATOR, GATEWAY, DISPATCHER)
NAMESPACE = INSTALLED_IN
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Right:
    resource: Resource
    verbs: tuple[str, ...]
    subresource: str = ""
    names: tuple[str, ...] = ()

    @property
    def plural(self) -> str:
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural


_FOLLOW = ("list", "watch")
# Children are looked up, followed, applied and deleted.
_KEEP = ("create", "delete", "get", *_FOLLOW, "patch")

CHILDREN: tuple[Resource, ...] = (
    kinds.KNATIVE_SERVICE,
    kinds.BROKER,
    kinds.TRIGGER,
    kinds.BROKER_CONFIG,
    kinds.DEPLOYMENT,
    kinds.AUTOSCALER,
    kinds.SERVICE,
    kinds.SERVICE_MONITOR,
    kinds.NETWORK_POLICY,
)
# Read to find why a child is not ready; never written.
EVIDENCE: tuple[Resource, ...] = (kinds.POD, kinds.REPLICA_SET, kinds.REVISION, kinds.EXCHANGE)
# Granted in every namespace that holds agents.
OPERATOR_RIGHTS: tuple[Right, ...] = (
    Right(kinds.LAMBDA_AGENT, (*_FOLLOW, "patch")),
    Right(kinds.LAMBDA_AGENT, ("patch",), subresource="status"),
    # Children block their owner's deletion, and some clusters (OpenShift) require this right to set that.
    Right(kinds.LAMBDA_AGENT, ("update",), subresource="finalizers"),
    *(Right(child, _KEEP) for child in CHILDREN),
    *(Right(kind, _FOLLOW) for kind in EVIDENCE),
    # An Event is created in the namespace of the agent that it is about.
    Right(kinds.EVENT, ("create",)),
    # At the gateway: lifecycle events.
    Right(kinds.LAMBDA_AGENT, ("create",), subresource="events"),
)
# For an operator of all namespaces: CRDs show what the cluster serves. They contain schemas and no objects.
OPERATOR_CLUSTER_RIGHTS: tuple[Right, ...] = (Right(kinds.CRD, _FOLLOW),)
# Granted in the operator's own namespace. `create` cannot be limited to a name.
OPERATOR_OWN_RIGHTS: tuple[Right, ...] = (
    Right(kinds.LEASE, ("create",)),
    Right(kinds.LEASE, ("get", "update"), names=(naming.LEASE,)),
    # Its own Pod, for the image; the Pod's name is not known in advance.
    Right(kinds.POD, ("get",)),
)
# The gateway asks what its callers may do, and, for all namespaces, whose the tokens of ServiceAccounts are.
GATEWAY_RIGHTS: tuple[Right, ...] = (Right(kinds.LAMBDA_AGENT, _FOLLOW), Right(kinds.ACCESS_REVIEW, ("create",)))
GATEWAY_CLUSTER_RIGHTS: tuple[Right, ...] = (Right(kinds.TOKEN_REVIEW, ("create",)),)
# The dispatcher writes EventingReady on plain RabbitMQ.
DISPATCHER_RIGHTS: tuple[Right, ...] = (
    Right(kinds.LAMBDA_AGENT, _FOLLOW),
    Right(kinds.LAMBDA_AGENT, ("patch",), subresource="status"),
)

_READ = ("get", *_FOLLOW)
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
# The rights of users, aggregated to the roles that every cluster has. Only the operator and dispatcher write status.
TIERS: dict[str, tuple[Right, ...]] = {
    "viewer": (Right(kinds.LAMBDA_AGENT, _READ), Right(kinds.LAMBDA_AGENT, ("get",), subresource="status")),
    "editor": (Right(kinds.LAMBDA_AGENT, (*_READ, *_WRITE)), Right(kinds.LAMBDA_AGENT, ("get",), subresource="status")),
    "admin": (Right(kinds.LAMBDA_AGENT, ("*",)), Right(kinds.LAMBDA_AGENT, ("get",), subresource="status")),
}
# Rights at the gateway, on subresources that no API server serves (docs/guides/access.md). They are aggregated to no
# role: whoever may edit agents in a namespace may not call them for that reason.
CALLERS: dict[str, tuple[Right, ...]] = {
    "invoker": (
        Right(kinds.LAMBDA_AGENT, ("create",), subresource="invoke"),
        Right(kinds.LAMBDA_AGENT, ("get",), subresource="card"),
    ),
    "registrar": (Right(kinds.LAMBDA_AGENT, ("create",), subresource="registrations"),),
    "supervisor": (
        Right(kinds.LAMBDA_AGENT, ("create",), subresource="invoke"),
        Right(kinds.LAMBDA_AGENT, ("create",), subresource="events"),
        Right(kinds.LAMBDA_AGENT, ("get",), subresource="card"),
        Right(kinds.LAMBDA_AGENT, ("get", "list", "delete"), subresource="tasks"),
    ),
}
_AGGREGATES = {"viewer": "view", "editor": "edit", "admin": "admin"}


def rules(rights: Iterable[Right]) -> list[dict[str, Any]]:
    """Return the rules of a Role; resources of one group with the same verbs and names share a rule."""
    merged: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for right in rights:
        key = (right.resource.group, tuple(sorted(right.verbs)), right.names)
        merged.setdefault(key, []).append(right.plural)
    return [
        {"apiGroups": [group], "resources": sorted(plurals)}
        | ({"resourceNames": list(names)} if names else {})
        | {"verbs": list(verbs)}
        for (group, verbs, names), plurals in sorted(merged.items())
    ]


def documents(*, namespace: str = NAMESPACE, namespaces: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return accounts, roles and bindings of an installation whose processes run in `namespace`.

    The installation serves all namespaces, or only `namespaces`. In the latter case a ClusterRole is only a list of
    rules that RoleBindings refer to, and nothing is granted over the whole cluster.
    """
    bindings = [_binding(account, namespace, within=each) for each in namespaces or ("",) for account in ACCOUNTS]
    own = f"{OPERATOR}-own"
    return [
        *(_object("v1", "ServiceAccount", account, namespace) for account in ACCOUNTS),
        _role(OPERATOR, OPERATOR_RIGHTS if namespaces else (*OPERATOR_RIGHTS, *OPERATOR_CLUSTER_RIGHTS)),
        _role(GATEWAY, GATEWAY_RIGHTS if namespaces else (*GATEWAY_RIGHTS, *GATEWAY_CLUSTER_RIGHTS)),
        _role(DISPATCHER, DISPATCHER_RIGHTS),
        *bindings,
        _role(own, OPERATOR_OWN_RIGHTS, namespace),
        _binding(OPERATOR, namespace, within=namespace, own=own),
        *(_tier(tier) for tier in TIERS),
        *(_role(f"lambdaagent-{name}", held) for name, held in CALLERS.items()),
    ]


def _role(name: str, rights: Iterable[Right], namespace: str = "") -> dict[str, Any]:
    kind = "Role" if namespace else "ClusterRole"
    return _object(f"{_RBAC}/v1", kind, name, namespace) | {"rules": rules(rights)}


def _tier(tier: str) -> dict[str, Any]:
    document = _role(f"lambdaagent-{tier}", TIERS[tier])
    document["metadata"]["labels"][f"{_RBAC}/aggregate-to-{_AGGREGATES[tier]}"] = "true"
    return document


def _binding(account: str, account_namespace: str, within: str = "", own: str = "") -> dict[str, Any]:
    """Return the binding of the account's ClusterRole, over the cluster or `within` a namespace; or of Role `own`."""
    kind = "RoleBinding" if within else "ClusterRoleBinding"
    return _object(f"{_RBAC}/v1", kind, own or account, within) | {
        "roleRef": {"apiGroup": _RBAC, "kind": "Role" if own else "ClusterRole", "name": own or account},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
    }


def _object(api_version: str, kind: str, name: str, namespace: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    metadata["labels"] = {"app.kubernetes.io/name": "lambdaagent"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
