"""`python -m lambdaagent` is the `lambdaagent` command."""

from lambdaagent.cli.main import main

main()
