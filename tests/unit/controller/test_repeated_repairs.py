from typing import Any

from lambdaagent.controller.repeated_repairs import Repairs, Settled


def obj(uid: str = "u", version: str = "1", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "resourceVersion": version}, "spec": spec}


def test_what_an_apply_left_stands_until_either_side_changes() -> None:
    settled, wanted = Settled(), {"metadata": {"name": "a"}, "spec": {"cpu": "1000m"}}
    settled.keep(wanted, obj(cpu="1"))
    assert settled.holds(wanted, obj(cpu="1", version="2") | {"status": {"ready": True}})
    assert not settled.holds(wanted, obj(cpu="2"))
    assert not settled.holds(wanted | {"spec": {"cpu": "1"}}, obj(cpu="1"))
    assert not settled.holds(wanted, obj("another", cpu="1"))
    settled.forget(obj())
    assert not settled.holds(wanted, obj(cpu="1"))


def test_an_object_is_repaired_a_few_times_in_a_while() -> None:
    now = 0.0
    repairs = Repairs(monotonic=lambda: now)
    assert [repairs.allowed("u") for _ in range(6)] == [True] * 5 + [False]
    assert repairs.allowed("another")
    now = 601.0
    assert repairs.allowed("u")
