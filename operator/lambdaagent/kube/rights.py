"""What each process may do at the API server: one table, from which every Role is rendered.

The table says what the code does, no more; the integration tests run the operator under exactly these rights, so a
request that is missing here fails there with 403. An apply needs `patch` and `create` (the server asks for both when
the object is new); a watch lists first. Nothing here reads a Secret: children refer to Secrets, the kubelet reads them.

Hazard: whoever may create workloads in a namespace can let them mount its Secrets. No rule can take that away from an
operator whose purpose are workloads; it does keep the operator itself, its logs and its status free of them.
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
# Looked up before it is made, applied, pruned.
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
)
# Read to tell why a child does not come up; never written.
EVIDENCE: tuple[Resource, ...] = (kinds.POD, kinds.REPLICA_SET, kinds.REVISION, kinds.EXCHANGE)
# In every namespace that holds agents.
OPERATOR_RIGHTS: tuple[Right, ...] = (
    Right(kinds.LAMBDA_AGENT, (*_FOLLOW, "patch")),
    Right(kinds.LAMBDA_AGENT, ("patch",), subresource="status"),
    # Children block their owner's deletion, which some clusters (OpenShift) let only those set who hold this.
    Right(kinds.LAMBDA_AGENT, ("update",), subresource="finalizers"),
    *(Right(child, _KEEP) for child in CHILDREN),
    *(Right(kind, _FOLLOW) for kind in EVIDENCE),
    # An Event stands in the namespace of the agent that it is about.
    Right(kinds.EVENT, ("create",)),
)
# Where it looks after all namespaces: the CRDs tell what the cluster serves; of schemas only, never of objects.
OPERATOR_CLUSTER_RIGHTS: tuple[Right, ...] = (Right(kinds.CRD, _FOLLOW),)
# In the operator's own namespace. A creation cannot be limited to a name.
OPERATOR_OWN_RIGHTS: tuple[Right, ...] = (
    Right(kinds.LEASE, ("create",)),
    Right(kinds.LEASE, ("get", "update"), names=(naming.LEASE,)),
    # Its own, for the image; a Pod's name is not known before.
    Right(kinds.POD, ("get",)),
)
GATEWAY_RIGHTS: tuple[Right, ...] = (Right(kinds.LAMBDA_AGENT, _FOLLOW),)
# It says EventingReady on plain RabbitMQ.
DISPATCHER_RIGHTS: tuple[Right, ...] = (
    Right(kinds.LAMBDA_AGENT, _FOLLOW),
    Right(kinds.LAMBDA_AGENT, ("patch",), subresource="status"),
)

_READ = ("get", *_FOLLOW)
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
# What people may do, added to the roles that every cluster has. Status is the operator's to write.
TIERS: dict[str, tuple[Right, ...]] = {
    "viewer": (Right(kinds.LAMBDA_AGENT, _READ), Right(kinds.LAMBDA_AGENT, ("get",), subresource="status")),
    "editor": (Right(kinds.LAMBDA_AGENT, (*_READ, *_WRITE)), Right(kinds.LAMBDA_AGENT, ("get",), subresource="status")),
    "admin": (Right(kinds.LAMBDA_AGENT, ("*",)), Right(kinds.LAMBDA_AGENT, ("get",), subresource="status")),
}
_AGGREGATES = {"viewer": "view", "editor": "edit", "admin": "admin"}


def rules(rights: Iterable[Right]) -> list[dict[str, Any]]:
    """The rules of a Role: resources of one group with the same verbs and names share a rule."""
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
    """Accounts, roles and bindings of an installation whose processes run in `namespace`.

    It looks after all namespaces, or after `namespaces` alone: then a ClusterRole is only a list of rules, which counts
    where a RoleBinding names it, and nothing is granted over the cluster.
    """
    bindings = [_binding(account, namespace, within=each) for each in namespaces or ("",) for account in ACCOUNTS]
    own = f"{OPERATOR}-own"
    return [
        *(_object("v1", "ServiceAccount", account, namespace) for account in ACCOUNTS),
        _role(OPERATOR, OPERATOR_RIGHTS if namespaces else (*OPERATOR_RIGHTS, *OPERATOR_CLUSTER_RIGHTS)),
        _role(GATEWAY, GATEWAY_RIGHTS),
        _role(DISPATCHER, DISPATCHER_RIGHTS),
        *bindings,
        _role(own, OPERATOR_OWN_RIGHTS, namespace),
        _binding(OPERATOR, namespace, within=namespace, own=own),
        *(_tier(tier) for tier in TIERS),
    ]


def _role(name: str, rights: Iterable[Right], namespace: str = "") -> dict[str, Any]:
    kind = "Role" if namespace else "ClusterRole"
    return _object(f"{_RBAC}/v1", kind, name, namespace) | {"rules": rules(rights)}


def _tier(tier: str) -> dict[str, Any]:
    document = _role(f"lambdaagent-{tier}", TIERS[tier])
    document["metadata"]["labels"][f"{_RBAC}/aggregate-to-{_AGGREGATES[tier]}"] = "true"
    return document


def _binding(account: str, account_namespace: str, within: str = "", own: str = "") -> dict[str, Any]:
    """Of the account's ClusterRole, over the whole cluster or `within` a namespace; or of the Role `own` there."""
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
