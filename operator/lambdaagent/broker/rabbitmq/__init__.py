"""The broker protocol on RabbitMQ, with pika."""
