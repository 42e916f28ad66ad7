"""The kinds that this package uses and the paths under which an API server serves them.

No path or plural is built anywhere else. A kind that is missing here is a programming error and raises ValueError at
once; a guessed plural would cause a 404 later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """The path of the API that serves the kind."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    @property
    def label(self) -> str:
        """The name in messages: `Service.serving.knative.dev`, `Deployment.apps`, `Secret`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    def path(self, *, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the path; without a namespace, that of the collection over all namespaces."""
        parts = [self.root]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            if self.namespaced and not namespace:
                raise ValueError(f"{self.label} {name} needs a namespace")
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def named(self, *, namespace: str | None = None, name: str | None = None) -> str:
        """Return the object's name for messages, such as `Trigger.eventing.knative.dev ns/name`."""
        where = "/".join(part for part in (namespace if self.namespaced else None, name) if part)
        return f"{self.label} {where}" if where else self.label


LAMBDA_AGENT = Resource("lambda.knative.io", "v1alpha1", "lambdaagents", "LambdaAgent")
KNATIVE_SERVICE = Resource("serving.knative.dev", "v1", "services", "Service")
REVISION = Resource("serving.knative.dev", "v1", "revisions", "Revision")
BROKER = Resource("eventing.knative.dev", "v1", "brokers", "Broker")
TRIGGER = Resource("eventing.knative.dev", "v1", "triggers", "Trigger")
BROKER_CONFIG = Resource("eventing.knative.dev", "v1alpha1", "rabbitmqbrokerconfigs", "RabbitmqBrokerConfig")
SERVICE_MONITOR = Resource("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor")
EXCHANGE = Resource("rabbitmq.com", "v1beta1", "exchanges", "Exchange")
DEPLOYMENT = Resource("apps", "v1", "deployments", "Deployment")
REPLICA_SET = Resource("apps", "v1", "replicasets", "ReplicaSet")
AUTOSCALER = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
NETWORK_POLICY = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease")
EVENT = Resource("events.k8s.io", "v1", "events", "Event")
ROLE = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDING = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLE = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDING = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
CRD = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
TOKEN_REVIEW = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
# Its answer is about one namespace, so an account with rights in some namespaces may ask for it there.
ACCESS_REVIEW = Resource("authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview")
OWN_ACCESS_REVIEW = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
SERVICE = Resource("", "v1", "services", "Service")
POD = Resource("", "v1", "pods", "Pod")
SECRET = Resource("", "v1", "secrets", "Secret")
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)

KNOWN: Mapping[tuple[str, str], Resource] = {
    (found.api_version, found.kind): found for found in list(globals().values()) if isinstance(found, Resource)
}


def resource(api_version: str, kind: str) -> Resource:
    try:
        return KNOWN[api_version, kind]
    except KeyError:
        raise ValueError(f"{api_version} {kind} is no kind that lambdaagent.kube.resources knows") from None


def of(document: Mapping[str, Any]) -> Resource:
    """Return the resource of an object with apiVersion and kind. Raises ValueError if the kind is unknown."""
    return resource(document["apiVersion"], document["kind"])
