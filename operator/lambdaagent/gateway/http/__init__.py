"""HTTP functions that all protocols share: bodies, streams, problem documents, request ids, tracing."""
