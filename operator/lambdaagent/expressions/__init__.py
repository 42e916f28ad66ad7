"""Runtime expressions: real jq, in processes of its own."""
