"""LambdaAgent: Kubernetes operator and A2A gateway for AI agents on Knative and RabbitMQ."""
