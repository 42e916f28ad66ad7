"""The event broker: one protocol with two implementations, RabbitMQ (pika) and in-process, under one contract suite."""
