"""Dead letters on the command line: the commands, and access to the two places where dead letters are kept."""
