"""The task engine: it creates tasks from messages, calls containers, and keeps a task after its request has ended."""
