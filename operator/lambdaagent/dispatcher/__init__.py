"""Events from queues to agents, where Knative Eventing does not do it."""
