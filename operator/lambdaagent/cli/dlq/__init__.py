"""Dead letters on the command line: the commands, and the two places where letters lie."""
