"""CloudEvents: the model, its HTTP and AMQP codecs, and the capability segment of event URLs. Pure."""
