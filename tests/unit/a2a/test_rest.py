import pytest

from lambdaagent.a2a import rest
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.versions import Version

PATHS = [
    ("message:send", {"POST": Operation.SEND}, {}),
    ("message:stream", {"POST": Operation.STREAM}, {}),
    ("tasks", {"GET": Operation.LIST}, {}),
    ("tasks/t", {"GET": Operation.GET}, {"id": "t"}),
    ("tasks/a:b", {"GET": Operation.GET}, {"id": "a:b"}),
    ("tasks/t:cancel", {"POST": Operation.CANCEL}, {"id": "t"}),
    ("tasks/a:b:cancel", {"POST": Operation.CANCEL}, {"id": "a:b"}),
    ("tasks/t:subscribe", {"POST": Operation.SUBSCRIBE, "GET": Operation.SUBSCRIBE}, {"id": "t"}),
    (
        "tasks/t/pushNotificationConfigs",
        {"POST": Operation.PUSH_PUT, "GET": Operation.PUSH_LIST},
        {"taskId": "t"},
    ),
    (
        "tasks/t/pushNotificationConfigs/p",
        {"GET": Operation.PUSH_GET, "DELETE": Operation.PUSH_DROP},
        {"taskId": "t", "id": "p"},
    ),
]


@pytest.mark.parametrize(("path", "operations", "ids"), PATHS, ids=[path for path, _, _ in PATHS])
@pytest.mark.parametrize(
    ("prefix", "version"),
    [("/", Version.V1), ("/acme/", Version.V1), ("/v1/", Version.V03)],
    ids=["1.0", "1.0 with a tenant", "0.3"],
)
def test_paths_say_operation_version_and_ids(
    prefix: str, version: Version, path: str, operations: dict[str, Operation], ids: dict[str, str]
) -> None:
    found = rest.match(prefix + path)
    assert (found.version, found.operations, found.ids) == (version, operations, ids)


def test_the_extended_card_has_another_path_in_each_version() -> None:
    for path, version in (("/extendedAgentCard", Version.V1), ("/v1/card", Version.V03)):
        assert rest.match(path) == rest.RestRoute(version, {"GET": Operation.EXTENDED_CARD}, {})


@pytest.mark.parametrize(
    "path",
    ["/", "//", "/v1", "/message", "/message:fly", "/a/b/tasks", "/v1/acme/tasks", "/card", "/tasks/t/x"],
)
def test_a_path_that_is_none_is_a_method_that_is_not_found(path: str) -> None:
    with pytest.raises(A2AError) as raised:
        rest.match(path)
    assert raised.value.problem is Problem.METHOD_NOT_FOUND


@pytest.mark.parametrize(
    ("accept", "sent", "expected"),
    [
        ("*/*", "application/json", "application/json"),
        ("", "", "application/json"),
        ("application/a2a+json, */*", "", "application/a2a+json"),
        ("*/*", "application/a2a+json", "application/a2a+json"),
    ],
)
def test_the_own_media_type_is_for_who_asks_for_it(accept: str, sent: str, expected: str) -> None:
    assert rest.media_type(accept=accept, sent=sent) == expected
