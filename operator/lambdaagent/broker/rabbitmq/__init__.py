"""The broker protocol over RabbitMQ, with pika."""
