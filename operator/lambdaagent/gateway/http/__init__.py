"""HTTP plumbing below the protocols: bodies, streams, problem documents, request ids, tracing."""
