"""The task engine: messages in, container calls out, and tasks that outlive the request that made them."""
