"""`lambdaagent completion`: a static script for bash that contains every command and option.

The script is generated from the declared commands, so pressing the tab key starts no Python.
"""

from collections.abc import Iterator
from typing import Any

import typer

from lambdaagent.cli.groups import Quick

_SCRIPT = """\
_lambdaagent() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" path="" word words="" options=""
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$path $word" in
{commands}
    esac
  done
  COMPREPLY=()
  # After an option that takes something without choices, and where no word fits, the shell itself completes files.
  case "$path $previous" in
{values}
  esac
  case "$path" in
{words}
  esac
  if [[ "$current" == -* ]]; then words="$options"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _lambdaagent lambdaagent
"""


def register(app: typer.Typer) -> None:
    @app.command(cls=Quick)
    def completion() -> None:
        """Print a completion script, as in: source <(lambdaagent completion)"""
        typer.echo(script(typer.main.get_command(app)), nl=False)


def script(root: Any) -> str:
    """Return the script; `root` is typer's root command."""
    tree = dict(_walk(root, ""))
    commands = [
        f'      "{path} {name}") path="{path} {name}" ;;' for path, group in tree.items() for name in _names(group)
    ]
    values = [
        f'    "{path} {option}") COMPREPLY=($(compgen -W "{" ".join(choices)}" -- "$current")); return ;;'
        for path, command in tree.items()
        for option, choices in _options(command)
        if choices is not None
    ]
    words = [
        f'    "{path}") words="{" ".join(_names(command))}" options="{" ".join(dict(_options(command)))} --help" ;;'
        for path, command in tree.items()
    ]
    return _SCRIPT.format(commands="\n".join(commands), values="\n".join(values), words="\n".join(words))


def _walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name in _names(command):
        yield from _walk(command.commands[name], f"{path} {name}")


def _names(command: Any) -> list[str]:
    return sorted(getattr(command, "commands", {}))


def _options(command: Any) -> Iterator[tuple[str, list[str] | None]]:
    """Yield each option with its value's choices: a list (empty: any value), or None for a flag, which has no value."""
    for param in command.params:
        for option in (each for each in param.opts if each.startswith("-")):
            yield option, None if param.is_flag else [str(each) for each in param.type_descriptor.choices or ()]
