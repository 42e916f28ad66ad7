"""The command line: argument parsing, printing and exit codes; nothing is decided here."""
