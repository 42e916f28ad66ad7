"""`lambdaagent dev`: the gateway and the broker in one process, and agents as local processes."""
