"""The event broker behind one protocol: RabbitMQ (pika) and its in-process twin, under one contract suite."""
