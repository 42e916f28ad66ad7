"""`lambdaagent agents`, `card`, `call`, `chat` and `tasks`: agents of a gateway for people, over A2A 1.0."""
