"""The metrics that are counted outside of prometheus_client, as they are collected."""

from lambdaagent.gateway.metrics import GatewayMetrics


def test_decisions_are_counted_by_the_kind_of_rule() -> None:
    metrics = GatewayMetrics()
    for allowed, rule in ((True, "grants[0]"), (True, "grants[11]"), (True, "admins"), (False, "default")):
        metrics.decided(allowed, rule)
    metrics.decided(True, "admins")
    found = {line for line in metrics.text().decode().splitlines() if line.startswith("lambdaagent_gateway_access")}
    assert found == {
        'lambdaagent_gateway_access_decisions_total{decision="allow",rule="grants"} 2.0',
        'lambdaagent_gateway_access_decisions_total{decision="allow",rule="admins"} 2.0',
        'lambdaagent_gateway_access_decisions_total{decision="forbid",rule="default"} 1.0',
    }
