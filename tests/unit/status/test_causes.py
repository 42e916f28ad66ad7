"""The causes of failures, from reports of the kubelet, Knative and RabbitMQ's topology operator."""

from typing import Any

import pytest

from lambdaagent.status.causes import Cause, of_exchange, of_pod, of_replica_set, of_revision

NOT_ROOT = (
    'container has runAsNonRoot and image will run as root (pod: "a-5d_ns(0c1d)", container: user-container)',
    "container has runAsNonRoot and image will run as root; give the image a numeric USER other than 0, or annotate the"
    " agent lambda.knative.io/pod-security=baseline",
)


NO_SUCH_FILE = 'failed to create containerd task: exec: "/x": stat /x: no such file or directory: unknown'
CHECK = "; check spec.image.command, spec.image.args and the image"


def pod(*containers: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": {"phase": "Pending", "containerStatuses": list(containers), **status}}


def container(**fields: Any) -> dict[str, Any]:
    return {"name": "user-container", "image": "r/a:1", "ready": False, "restartCount": 0, **fields}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return container(state={"waiting": {"reason": reason, "message": message}})


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    end = {"exitCode": code, "reason": reason, "finishedAt": "2026-01-01T00:00:00Z"}
    return {"terminated": end | ({"message": message} if message else {})}


@pytest.mark.parametrize(
    "found",
    [
        container(restartCount=0, state=ended(1)),
        container(restartCount=1, state={"running": {}}, lastState=ended(1)),
        container(restartCount=1, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ended(1)),
        container(restartCount=1, state=ended(1, message="password: secret")),
        container(restartCount=2, state={"running": {}}, lastState=ended(1)),
    ],
)
def test_one_restart_is_not_again_and_again(found: dict[str, Any]) -> None:
    message = "container user-container ended with exit code 1; see kubectl logs"
    assert of_pod(pod(found)) == Cause("ContainerEnded", message, "Unknown")


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        pytest.param(
            waiting("ErrImagePull", 'failed to pull "r/a:1": r/a:1: not found'),
            "ImagePullBackOff",
            "cannot pull r/a:1: the registry does not have it; check spec.image and spec.image.imagePullSecrets",
            id="image not there",
        ),
        pytest.param(
            waiting("ImagePullBackOff", 'Back-off pulling image "r/a:1": ErrImagePull: 401 Unauthorized'),
            "ImagePullBackOff",
            "cannot pull r/a:1: the registry refuses access; check spec.image and spec.image.imagePullSecrets",
            id="registry refuses",
        ),
        pytest.param(
            waiting("ImagePullBackOff", 'Back-off pulling image "r/a:1"'),
            "ImagePullBackOff",
            "cannot pull r/a:1; check spec.image and spec.image.imagePullSecrets",
            id="older kubelets say no more",
        ),
        pytest.param(
            waiting("CreateContainerConfigError", 'secret "restaurant-redis" not found'),
            "CreateContainerConfigError",
            'secret "restaurant-redis" not found; create it in the agent\'s namespace or correct the reference in spec',
            id="missing Secret",
        ),
        pytest.param(
            waiting("CreateContainerConfigError", NOT_ROOT[0]), "CreateContainerConfigError", NOT_ROOT[1], id="root"
        ),
        pytest.param(
            waiting("RunContainerError", 'exec: "/x": not an executable' + " " + "ab" * 32),
            "RunContainerError",
            'exec: "/x": not an executable',
            id="ids of the runtime are left out",
        ),
        pytest.param(
            container(restartCount=3, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ended(1)),
            "CrashLoopBackOff",
            "container user-container repeatedly ends with exit code 1; see kubectl logs --previous",
            id="crash loop, waiting",
        ),
        pytest.param(
            container(restartCount=4, state={"running": {}}, lastState=ended(1)),
            "CrashLoopBackOff",
            "container user-container repeatedly ends with exit code 1; see kubectl logs --previous",
            id="crash loop, between two crashes",
        ),
        pytest.param(
            container(restartCount=2, state=ended(1)),
            "CrashLoopBackOff",
            "container user-container repeatedly ends with exit code 1; see kubectl logs --previous",
            id="crash loop, the third crash",
        ),
        pytest.param(
            container(restartCount=0, state=ended(128, "StartError", NO_SUCH_FILE)),
            "StartError",
            "container user-container cannot start: " + NO_SUCH_FILE + CHECK,
            id="no such command",
        ),
        pytest.param(
            container(
                restartCount=7,
                state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting"}},
                lastState=ended(128, "StartError", NO_SUCH_FILE),
            ),
            "StartError",
            "container user-container cannot start: " + NO_SUCH_FILE + CHECK,
            id="no such command, again and again",
        ),
        pytest.param(
            container(restartCount=1, state={"running": {}}, lastState=ended(127, "ContainerCannotRun", "exec format")),
            "ContainerCannotRun",
            "container user-container cannot start: exec format" + CHECK,
            id="another architecture",
        ),
        pytest.param(
            container(restartCount=0, state=ended(128, "StartError")),
            "StartError",
            "container user-container cannot start: StartError" + CHECK,
            id="a runtime that says no more",
        ),
        pytest.param(
            container(restartCount=1, state={"running": {}}, lastState=ended(137, "OOMKilled")),
            "OOMKilled",
            "container user-container exceeded its memory limit; raise spec.resources.limits.memory",
            id="out of memory",
        ),
    ],
)
def test_a_container_that_cannot_run_says_why(status: dict[str, Any], reason: str, message: str) -> None:
    assert of_pod(pod(status)) == Cause(reason, message)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(pod(container(ready=True, restartCount=9, lastState=ended(1))), id="ready after crashes"),
        pytest.param(pod(waiting("ContainerCreating")), id="being created"),
        pytest.param(pod(container(state={"running": {}})), id="started, not ready yet"),
        pytest.param(pod(), id="nothing said yet"),
        pytest.param(pod(container(state=ended(0), restartCount=0)), id="ended well once"),
        pytest.param(pod(waiting("ErrImagePull") | {"name": "queue-proxy"}), id="Knative's own container"),
        pytest.param(
            {"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}} | {"status": {"phase": "Failed"}},
            id="on its way out",
        ),
    ],
)
def test_a_pod_on_its_way_has_no_cause(found: dict[str, Any]) -> None:
    assert of_pod(found) is None


def test_a_pod_that_no_node_takes_may_still_find_one() -> None:
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes fit."}
    assert of_pod(pod(conditions=[unschedulable])) == Cause(
        "Unschedulable", "no node accepts the pod: 0/1 nodes fit", "Unknown"
    )


def test_an_evicted_pod_says_so() -> None:
    found = of_pod(pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."))
    assert found == Cause("Evicted", "The node was low on resource: memory")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        pytest.param(
            {"reason": "FailedCreate", "message": 'pods "a-5d-x7k2p" is forbidden: exceeded quota: q.'},
            "no pod can be created: exceeded quota: q",
            id="quota",
        ),
        pytest.param({"reason": "FailedCreate"}, "no pod can be created: FailedCreate", id="nothing said"),
    ],
)
def test_a_replica_set_that_can_make_no_pod_says_why(said: dict[str, str], cause: str) -> None:
    failure = {"type": "ReplicaFailure", "status": "True", **said}
    found = {"metadata": {"name": "a-5d"}, "status": {"conditions": [failure]}}
    assert of_replica_set(found) == Cause("FailedCreate", cause)
    failure["status"] = "False"
    assert of_replica_set(found) is None


def test_a_failed_revision_gives_its_own_reason() -> None:
    ready = {"type": "Ready", "status": "False", "reason": "ContainerMissing", "message": "Unable to fetch image"}
    revision = {"metadata": {"name": "a-00002"}, "status": {"conditions": [ready]}}
    assert of_revision(revision) == Cause("ContainerMissing", "Revision a-00002: Unable to fetch image")
    revision["status"]["conditions"] = [ready | {"status": "Unknown"}]  # type: ignore[index]
    assert of_revision(revision) is None


def test_what_a_container_wrote_is_not_repeated() -> None:
    message = "Container failed with: Traceback\nredis://:private@redis"
    ready = {"type": "Ready", "status": "False", "reason": "ExitCode1", "message": message}
    revision = {"metadata": {"name": "a-00002"}, "status": {"conditions": [ready]}}
    expected = "Revision a-00002: Container failed; see kubectl logs --previous"
    assert of_revision(revision) == Cause("ExitCode1", expected)


def test_an_exchange_that_is_refused_tells_why() -> None:
    ready = {"type": "Ready", "status": "False", "reason": "FailedCreateOrUpdate", "message": "not allowed."}
    exchange = {"metadata": {"name": "b.x"}, "status": {"conditions": [ready]}}
    assert of_exchange(exchange) == Cause("FailedCreateOrUpdate", "Exchange b.x: not allowed")


def test_an_exchange_that_nobody_reports_on_names_who_should() -> None:
    found = of_exchange({"metadata": {"name": "b.x"}, "status": {}})
    assert found is not None
    assert found.status == "Unknown"
    assert "check that RabbitMQ's messaging topology operator runs" in found.message
