"""The command line: argument parsing, printing and exit codes; decisions are made elsewhere."""
