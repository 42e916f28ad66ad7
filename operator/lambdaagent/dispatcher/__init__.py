"""Delivers events from RabbitMQ's queues to agents, where Knative Eventing is absent."""
