"""Fields that others write into the spec of a child, found by the managed fields of the API server."""

from typing import Any

import pytest

from lambdaagent.controller import stray_fields

DESIRED = {
    "spec": {
        "subscriber": {"ref": {"name": "a"}},
        "set": ["x"],
        "template": {"spec": {"containers": [{"name": "c", "env": [{"name": "MINE", "value": "1"}]}]}},
    }
}
MINE = {
    "f:subscriber": {"f:ref": {"f:name": {}}},
    "f:template": {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:name": {}}}}},
}


def entry(manager: str, spec: Any, **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": spec}, **more}


def live(theirs: Any, spec: Any, manager: str = "kubectl-edit", **more: Any) -> dict[str, Any]:
    fields = [entry("lambdaagent", MINE, operation="Apply"), entry(manager, theirs, **more)]
    return {"metadata": {"resourceVersion": "7", "managedFields": fields}, "spec": DESIRED["spec"] | spec}


def containers(*env: str, **more: Any) -> dict[str, Any]:
    entries = [{"name": name, "value": "1"} for name in env]
    return {"template": {"spec": {"containers": [{"name": "c", "env": entries, **more}]}}}


def env(*names: str) -> dict[str, Any]:
    keys = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}} for name in names}
    return {"f:template": {"f:spec": {"f:containers": {'k:{"name":"c"}': {"f:env": keys}}}}}


@pytest.mark.parametrize(
    ("theirs", "spec", "removed"),
    [
        pytest.param(
            {"f:subscriber": {"f:uri": {}}},
            {"subscriber": {"ref": {"name": "a"}, "uri": "/x"}},
            ["/spec/subscriber/uri"],
            id="a field beside ours",
        ),
        pytest.param({"f:traffic": {}}, {"traffic": [{"percent": 100}]}, ["/spec/traffic"], id="a whole block"),
        pytest.param(
            {"f:delivery": {".": {}, "f:retry": {}}},
            {"delivery": {"retry": 1}},
            ["/spec/delivery"],
            id="once, not twice",
        ),
        pytest.param(
            env("ONE", "TWO"),
            containers("ONE", "MINE", "TWO"),
            ["/spec/template/spec/containers/0/env/2", "/spec/template/spec/containers/0/env/0"],
            id="entries of a list, the last one first",
        ),
        pytest.param(
            env(*(f"N{number}" for number in range(12))),
            containers("MINE", *(f"N{number}" for number in range(12))),
            [f"/spec/template/spec/containers/0/env/{number}" for number in range(12, 0, -1)],
            id="more than ten entries",
        ),
        pytest.param(
            {"f:set": {'v:"a/b~c"': {}}, "f:a~/b": {}},
            {"set": ["x", "a/b~c"], "a~/b": 1},
            ["/spec/a~0~1b", "/spec/set/1"],
            id="names with slashes, values of a set",
        ),
        pytest.param(env("MINE"), containers("MINE"), [], id="written by both"),
        pytest.param({"f:gone": {}}, {}, [], id="no longer there"),
        pytest.param({"f:replicas": {}}, {"replicas": 3}, [], id="the scale"),
        pytest.param(
            {"f:template": {"f:metadata": {"f:annotations": {".": {}, "f:x": {}}, "f:labels": {"f:y": {}}}}},
            {"template": DESIRED["spec"]["template"] | {"metadata": {"annotations": {"x": ""}, "labels": {"y": ""}}}},
            [],
            id="marks of the pods",
        ),
    ],
)
def test_what_others_added_is_found(theirs: Any, spec: Any, removed: list[str]) -> None:
    found = live(theirs, spec)
    # The order matters within a list, where a removal moves what follows.
    assert [stray_fields.path(pointer) for pointer in stray_fields.added(DESIRED, found)] == removed
    patch = stray_fields.removal(found, stray_fields.added(DESIRED, found))
    assert patch[0] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(live({"f:x": {}}, {"x": 1}, manager="lambdaagent"), id="our own"),
        pytest.param(live({"f:replicas": {}}, {"replicas": 1}, subresource="scale"), id="through a subresource"),
        pytest.param({"metadata": {}, "spec": {"x": 1}}, id="nobody says"),
        pytest.param(
            {"metadata": {"managedFields": [{"manager": "x", "fieldsV1": {"f:metadata": {}}}]}}, id="metadata"
        ),
    ],
)
def test_what_nobody_else_wrote_into_the_spec_is_not_kept(found: dict[str, Any]) -> None:
    assert stray_fields.entries(found) == []
    assert stray_fields.added(DESIRED, found) == []
    assert not stray_fields.overwritten(DESIRED, found)


def test_a_list_that_is_replaced_as_a_whole_is_another_s_until_it_is_applied_again() -> None:
    atomic = {"f:template": {"f:spec": {"f:containers": {}}}}
    theirs = {"metadata": {"managedFields": [entry("kubectl-edit", atomic)]}, "spec": DESIRED["spec"]}
    assert stray_fields.overwritten(DESIRED, theirs)
    assert stray_fields.added(DESIRED, theirs) == []
    both = {"metadata": {"managedFields": [entry("lambdaagent", atomic), entry("kubectl-edit", atomic)]}}
    assert not stray_fields.overwritten(DESIRED, both)
