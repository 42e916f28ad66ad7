"""Server-side apply against a real API server: what is written, what is refused, and why."""

import sys
from typing import Any

import pytest
from tests.parts import knative
from tests.parts.kubernetes import KubeApiserver
from tests.parts.proxy import proxy

from lambdaagent.api import agent as agents
from lambdaagent.children import kubernetes
from lambdaagent.errors import PermanentError, TemporaryError
from lambdaagent.kube import apply, objects, resources
from lambdaagent.kube.client import KubeClient, connect
from lambdaagent.kube.errors import ApiError, ConflictError, NotFoundError, PermanentApiError
from lambdaagent.settings import Installation


def config_map(namespace: str, **extra: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": namespace},
        "data": {"key": "value"},
    } | extra


def trigger(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": "t", "namespace": namespace},
        "spec": {"broker": "b", "filter": {"attributes": {"type": "x"}}, "subscriber": {"uri": "http://x.invalid"}},
    }


async def test_an_unchanged_apply_writes_nothing(client: KubeClient, namespace: str) -> None:
    first = await apply.apply(client, config_map(namespace), manager="m")
    second = await apply.apply(client, config_map(namespace), manager="m")
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_a_field_that_is_left_out_is_removed(client: KubeClient, namespace: str) -> None:
    await apply.apply(client, config_map(namespace, data={"key": "value", "more": "1"}), manager="m")
    found = await apply.apply(client, config_map(namespace), manager="m")
    assert found["data"] == {"key": "value"}


async def test_a_foreign_manager_keeps_its_fields(client: KubeClient, namespace: str) -> None:
    await apply.apply(client, config_map(namespace, data={"theirs": "1"}), manager="other")
    found = await apply.apply(client, config_map(namespace), manager="m")
    assert found["data"] == {"theirs": "1", "key": "value"}
    with pytest.raises(ConflictError):
        await apply.apply(client, config_map(namespace, data={"theirs": "2"}), manager="m", force=False)
    found = await apply.apply(client, config_map(namespace, data={"theirs": "2"}), manager="m")
    assert found["data"] == {"theirs": "2"}


async def test_owner_references_of_two_managers_add_up(client: KubeClient, namespace: str) -> None:
    for n in range(2):
        # Owners that exist: the garbage collector drops references to others, sooner or later.
        owner = await apply.apply(
            client, config_map(namespace, metadata={"name": f"o{n}", "namespace": namespace}), manager="m"
        )
        document = trigger(namespace)
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": f"o{n}", "uid": owner["metadata"]["uid"]}
        document["metadata"]["ownerReferences"] = [reference]
        found = await apply.apply(client, document, manager=f"agent-{n}")
    assert [owner["name"] for owner in found["metadata"]["ownerReferences"]] == ["o0", "o1"]


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        pytest.param(
            {"spec": {"broker": "b", "subscriber": {}}}, "Invalid", "expected at least one.*Correct", id="refused"
        ),
        pytest.param(
            {"metadata": {"name": "t", "namespace": "absent"}}, "NotFound", '"absent" not found', id="namespace"
        ),
    ],
)
async def test_what_never_succeeds_is_a_permanent_error_with_cause_and_next_step(
    client: KubeClient, namespace: str, change: dict[str, Any], reason: str, says: str
) -> None:
    with pytest.raises(
        PermanentApiError, match=rf"^cannot apply Trigger\.eventing\.knative\.dev [^ ]+/t: (?s:.*){says}"
    ) as e:
        await apply.apply(client, trigger(namespace) | change, manager="m")
    assert isinstance(e.value, PermanentError)
    assert e.value.reason == reason


async def test_a_field_that_the_schema_does_not_know_is_a_permanent_error(client: KubeClient, namespace: str) -> None:
    document = {
        "apiVersion": "eventing.knative.dev/v1alpha1",
        "kind": "RabbitmqBrokerConfig",
        "metadata": {"name": "c", "namespace": namespace},
        "spec": {"rabbitmqClusterReference": {"name": "r"}, "queuTyp": "quorum"},
    }
    with pytest.raises(PermanentApiError, match=r"\.spec\.queuTyp.*compare its version") as caught:
        await apply.apply(client, document, manager="m")
    assert (caught.value.reason, caught.value.status) == ("UnknownField", 500)


async def test_a_missing_right_is_a_permanent_error(kube_apiserver: KubeApiserver, namespace: str) -> None:
    path = kube_apiserver.kubeconfig_for_service_account(namespace=namespace, name="weak")
    async with connect(kubeconfig=path) as weak:
        assert weak.namespace == namespace
        with pytest.raises(PermanentApiError, match="Grant this right") as caught:
            await apply.apply(weak, config_map(namespace), manager="m")
    assert caught.value.reason == "Forbidden"


async def test_an_unreachable_server_is_a_temporary_error(kube_apiserver: KubeApiserver, namespace: str) -> None:
    async with proxy(kube_apiserver.port) as network:
        path = kube_apiserver.kubeconfig_for(url=f"https://127.0.0.1:{network.port}")
        async with connect(kubeconfig=path, timeout=0.5) as client:
            await apply.apply(client, config_map(namespace), manager="m")
            network.partition()
            with pytest.raises(TemporaryError, match="did not answer in time") as caught:
                await apply.apply(client, config_map(namespace), manager="m")
            assert isinstance(caught.value, ApiError)
            assert caught.value.reason == "Timeout"
            network.refuse()
            with pytest.raises(TemporaryError, match="check that the API server can be reached"):
                await apply.apply(client, config_map(namespace), manager="m")
            network.heal()
            await apply.apply(client, config_map(namespace), manager="m")


async def test_a_status_is_applied_beside_the_spec(client: KubeClient, namespace: str) -> None:
    await apply.apply(client, trigger(namespace), manager="m")
    status = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    found = await apply.apply_status(
        client, resources.TRIGGER, name="t", namespace=namespace, status=status, manager="m/status"
    )
    assert found["status"]["observedGeneration"] == 1
    assert found["spec"]["broker"] == "b"


async def test_a_status_can_be_bound_to_the_version_that_was_judged(client: KubeClient, namespace: str) -> None:
    first = await apply.apply(client, trigger(namespace), manager="m")
    assert await objects.delete(client, resources.TRIGGER, name="t", namespace=namespace)
    await apply.apply(client, trigger(namespace), manager="m")
    with pytest.raises(ConflictError):
        await apply.apply_status(
            client,
            resources.TRIGGER,
            name="t",
            namespace=namespace,
            status={"observedGeneration": 1},
            manager="m",
            resource_version=first["metadata"]["resourceVersion"],
        )


async def test_what_knative_sets_survives_our_apply(
    client: KubeClient, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    await apply.apply(client, trigger(namespace), manager="m")
    knative.mark_ready(kube_apiserver.rest, "Trigger", namespace=namespace, name="t")
    found = await apply.apply(client, trigger(namespace), manager="m")
    assert found["status"]["subscriberUri"]


async def test_finalizers_are_written_only_over_the_version_that_was_read(client: KubeClient, namespace: str) -> None:
    read = await apply.apply(client, config_map(namespace), manager="m")
    held = await objects.set_finalizers(client, read, ["example.com/hold"], manager="m")
    with pytest.raises(ConflictError):
        await objects.set_finalizers(client, read, [], manager="m")
    assert await objects.delete(client, resources.CONFIG_MAP, name="a", namespace=namespace)
    held = await objects.get(client, resources.CONFIG_MAP, name="a", namespace=namespace)
    assert held["metadata"]["deletionTimestamp"]
    await objects.set_finalizers(client, held, [], manager="m")
    with pytest.raises(NotFoundError):
        await objects.get(client, resources.CONFIG_MAP, name="a", namespace=namespace)


async def test_every_character_arrives_as_it_was_written(client: KubeClient, namespace: str) -> None:
    """Each of Unicode's, and those that a parser might drop at both ends of a line; in few and large requests."""
    every = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF]
    size = 150_000
    for start in range(0, len(every), size):
        data = {"together": "".join(every[start : start + size])}
        if not start:
            # What a parser may take for the end of a line or for nothing, where it would matter.
            some = [*map(chr, range(0x100)), "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff", "\U0001f35d"]
            data |= {"between": "x".join(some), "lines": "".join(f"{each}\n {each} " for each in some)}
        found = await apply.apply(client, config_map(namespace, data=data), manager="m")
        assert found["data"] == data


async def test_what_ends_a_line_reaches_a_containers_environment(client: KubeClient, namespace: str) -> None:
    text = "one\u0085two\u2028 three \u2029\r\n$(FOUR) $$ \u00e9\U0001f35d"
    document = {
        "metadata": {"name": "a", "namespace": namespace, "uid": "u"},
        "spec": {"image": {"repository": "r"}, "behavior": {"systemPrompt": text}},
    }
    made = kubernetes.deployment(agents.parse(document), Installation(), sink=None)
    found = await apply.apply(client, made, manager="m")
    env = {entry["name"]: entry.get("value") for entry in found["spec"]["template"]["spec"]["containers"][0]["env"]}
    # The kubelet makes one dollar of two.
    assert env["SYSTEM_PROMPT"].replace("$$", "$") == text
