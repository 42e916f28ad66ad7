from typing import Any

import pytest

from lambdaagent.children.plan import Child
from lambdaagent.controller import ownership

UID = "u-1"
LABELS = {"app.kubernetes.io/managed-by": "lambdaagent", "lambda.knative.io/owner-uid": UID}


def obj(**metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": "n", **metadata}, "spec": {}}


def reference(uid: str = UID, *, controller: bool = True) -> dict[str, Any]:
    return {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "name": "a",
        "uid": uid,
        "controller": controller,
    }


def route(name: str = "a") -> dict[str, Any]:
    return reference("u-9") | {"apiVersion": "serving.knative.dev/v1", "kind": "Route", "name": name}


@pytest.mark.parametrize(
    ("metadata", "ours"),
    [
        pytest.param({"ownerReferences": [reference()]}, True, id="controlled by this agent"),
        pytest.param({"ownerReferences": [reference("u-2")]}, False, id="controlled by another of its name"),
        pytest.param({"ownerReferences": [reference(controller=False)]}, False, id="owned, not controlled"),
        pytest.param({"labels": LABELS}, True, id="labelled"),
        pytest.param({"labels": LABELS, "ownerReferences": [route()]}, False, id="copied labels, Knative's Route"),
        pytest.param({"labels": LABELS, "ownerReferences": [reference("u-2")]}, False, id="labelled, but another's"),
        pytest.param(
            {"labels": LABELS, "ownerReferences": [reference("u-2", controller=False)]},
            True,
            id="labelled, owned by another who does not control it",
        ),
        pytest.param(
            {"labels": LABELS, "ownerReferences": [reference("u-2", controller=False), route()]},
            False,
            id="copied labels, controlled by the second of two owners",
        ),
        pytest.param({"labels": {"lambda.knative.io/owner-uid": UID}}, False, id="labelled by somebody else"),
        pytest.param({}, False, id="nobody's"),
    ],
)
def test_whose_an_object_is(metadata: dict[str, Any], ours: bool) -> None:
    assert ownership.owned(obj(**metadata), UID) is ours


@pytest.mark.parametrize(
    ("metadata", "claimed"),
    [
        pytest.param({"ownerReferences": [reference()]}, {UID}, id="controlled by an agent"),
        pytest.param({"labels": LABELS}, {UID}, id="labelled"),
        pytest.param({"labels": LABELS, "ownerReferences": [route()]}, set(), id="Knative's, with our labels"),
        pytest.param(
            {"ownerReferences": [reference(uid, controller=False) for uid in ("u-1", "u-2")]}, {UID, "u-2"}, id="shared"
        ),
        pytest.param({}, set(), id="nobody's"),
    ],
)
def test_to_which_agents_an_object_may_belong(metadata: dict[str, Any], claimed: set[str]) -> None:
    assert ownership.claims(obj(**metadata)) == claimed


def test_a_shared_object_that_another_controls_is_not_ours() -> None:
    labels = LABELS | {"lambda.knative.io/shared": "true"}
    assert ownership.shared(obj(labels=labels))
    assert not ownership.shared(obj(labels=labels, ownerReferences=[route()]))


def test_the_service_of_a_route_goes_with_the_route() -> None:
    assert ownership.made_by_route(obj(labels=LABELS, ownerReferences=[route()]), "a")
    assert not ownership.made_by_route(obj(ownerReferences=[route("b")]), "a")
    assert not ownership.made_by_route(obj(ownerReferences=[route() | {"controller": False}]), "a")


@pytest.mark.parametrize(
    ("desired", "live", "holds"),
    [
        pytest.param({"a": 1}, {"a": 1, "b": 2}, True, id="others may add fields"),
        pytest.param({"a": 1}, {"a": 2}, False, id="another value"),
        pytest.param({"a": {"b": 1}}, {"a": {}}, False, id="a field is missing"),
        pytest.param({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}, True, id="empty is absent"),
        pytest.param({"n": 0}, {}, True, id="zero is absent"),
        pytest.param({"args": []}, {}, True, id="an empty list is absent"),
        pytest.param({"args": ["a"]}, {"args": ["a", "b"]}, False, id="plain lists are compared whole"),
        pytest.param(
            {"env": [{"name": "B", "value": "2"}]},
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            True,
            id="lists by name may be longer",
        ),
        pytest.param({"env": [{"name": "B"}]}, {"env": [{"name": "A"}]}, False, id="an entry is missing"),
        pytest.param({"x": {"y": 1}}, {"x": "text"}, False, id="another shape"),
        pytest.param([{"a": 1}], [{"a": 1, "b": 2}], True, id="entries without a key, in order"),
    ],
)
def test_what_is_desired_holds_in_what_is_there(desired: Any, live: Any, holds: bool) -> None:
    assert ownership.holds(desired, live) is holds


def test_a_field_that_is_no_longer_wanted_changes_the_mark() -> None:
    before = ownership.marked(Child(obj() | {"spec": {"a": 1, "b": 2}}))
    after = ownership.marked(Child(obj() | {"spec": {"a": 1}}))
    # Every field of `after` stands in `before`; only the mark tells that b must go.
    assert ownership.holds(after["spec"], before["spec"])
    assert not ownership.holds(after, before)


def shared(*names: str, version: str = "1", **status: Any) -> dict[str, Any]:
    references = [{"kind": "LambdaAgent", "name": name, "uid": f"uid-{name}"} for name in names]
    return obj(ownerReferences=references, resourceVersion=version) | {"status": status}


@pytest.mark.parametrize(
    ("old", "new", "concerned"),
    [
        pytest.param(None, shared("a", "b"), {"a", "b"}, id="new: all its owners"),
        pytest.param(shared("a"), shared("a", "b", version="2"), {"b"}, id="an agent joined: that one"),
        pytest.param(shared("a", "b"), shared("a", version="2"), {"b"}, id="an agent left: that one"),
        pytest.param(
            shared("a", "b"), shared("a", "b", version="2", ready=True), {"a", "b"}, id="its status changed: all"
        ),
        pytest.param(shared("a"), shared("a", version="2"), set(), id="nothing of interest: nobody"),
    ],
)
def test_whom_a_change_concerns(old: Any, new: Any, concerned: set[str]) -> None:
    assert {name for _, name in ownership.concerned(old, new)} == concerned


@pytest.mark.parametrize(
    ("change", "only"),
    [
        pytest.param({"status": {"phase": "Ready"}}, True, id="status"),
        pytest.param({"metadata": {"name": "x", "namespace": "n", "resourceVersion": "9"}}, True, id="version"),
        pytest.param({"spec": {"edited": True}}, False, id="spec"),
        pytest.param({"metadata": {"name": "x", "namespace": "n", "annotations": {"a": "b"}}}, False, id="annotation"),
        pytest.param({"metadata": {"name": "x", "namespace": "n", "deletionTimestamp": "now"}}, False, id="deletion"),
    ],
)
def test_what_a_status_write_may_change(change: dict[str, Any], only: bool) -> None:
    assert ownership.differs_in_status_only(obj(), obj() | change) is only


def test_a_condition_that_another_writer_changed_meanwhile_is_noticed() -> None:
    ours = {"conditions": [{"type": "Ready", "status": "False"}]}
    before = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    bound = {"type": "EventingReady", "status": "True"}
    written = {"status": {"conditions": [*ours["conditions"], bound]}}
    assert ownership.of_others(before, ours) == []
    assert ownership.of_others(written, ours) == [bound]
    assert ownership.of_others({"status": None}, ours) == []
