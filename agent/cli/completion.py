"""``edgeward completion``: a script for a shell that completes commands and options, made from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

EPILOG = """\
examples:
  source <(edgeward completion bash)
  edgeward completion bash > /etc/bash_completion.d/edgeward
  edgeward completion zsh > "${fpath[1]}/_edgeward"
  edgeward completion fish > ~/.config/fish/completions/edgeward.fish
"""

FILE_VALUES = {"FILE", "URL"}  # what is no Path to argparse and may be one to its user


@dataclass(frozen=True, slots=True)
class _Option:
    """``value`` is what its argument is called, empty when it takes none."""

    names: tuple[str, ...]
    help: str
    value: str
    of_files: bool
    again: bool


@dataclass(frozen=True, slots=True)
class _Command:
    """``words`` are those that lead to it, ``inner`` the names and helps of its subcommands."""

    words: str
    inner: dict[str, str]
    options: tuple[_Option, ...]
    choices: tuple[str, ...]


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "completion",
        help="print a script that completes commands and options in a shell",
        description="Print a script that completes commands, options and file names in a shell.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=tuple(SHELLS), help="bash, zsh or fish")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Print the script."""
    from agent.cli.main import build_parser  # noqa: PLC0415 - it imports this module

    print(SHELLS[options.shell](list(_commands(build_parser()))), end="")  # noqa: T201
    return 0


def _commands(parser: argparse.ArgumentParser) -> Iterator[_Command]:
    inner: dict[str, str] = {}
    options, choices, below = [], [], []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            inner = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            below = list(action.choices.values())
        elif action.option_strings:
            value = "" if action.nargs == 0 else str(action.metavar or action.dest)
            again = isinstance(action, argparse._AppendAction)  # noqa: SLF001
            files = bool(value) and (action.type is Path or value in FILE_VALUES)
            options.append(_Option(tuple(action.option_strings), action.help or "", value, files, again))
        elif action.choices:
            choices += [str(choice) for choice in action.choices]
    yield _Command(parser.prog, inner, tuple(options), tuple(choices))
    for one in below:
        yield from _commands(one)


def _known(commands: list[_Command], between: str) -> str:
    return between.join(f'"{command.words}"' for command in commands[1:])


def _bash(commands: list[_Command]) -> str:
    cases = ""
    for command in commands:
        named = {"options": command.options, "files": [one for one in command.options if one.of_files]}
        named["values"] = [one for one in command.options if one.value and not one.of_files]
        sets = [f'words="{" ".join([*command.inner, *command.choices])}"']
        sets += [f'{name}="{" ".join(sum((one.names for one in of), ()))}"' for name, of in named.items()]
        cases += f'        "{command.words}") {" ".join(sets)} ;;\n'
    return f"""# bash completion of edgeward, made by: edgeward completion bash
_edgeward() {{
    local at=edgeward cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
    local i words options files values
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at ${{COMP_WORDS[i]}}" in
            {_known(commands, " | ")}) at="$at ${{COMP_WORDS[i]}}" ;;
        esac
    done
    case $at in
{cases}    esac
    COMPREPLY=()
    if [[ " $values " == *" $prev "* ]]; then
        return
    elif [[ " $files " == *" $prev "* ]]; then
        compopt -o default
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ -n $words ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    else
        compopt -o default
    fi
}}
complete -F _edgeward edgeward
"""


def _zsh(commands: list[_Command]) -> str:
    cases = ""
    for command in commands:
        lines = []
        for option in command.options:
            value = (
                f":{_zsh_text(option.value)}:{'_files' if option.of_files else ' '}" if option.value else ""
            )
            told = f"[{_zsh_text(option.help)}]{value}"
            lines += [_quoted(f"{'*' * option.again}{name}{told}") for name in option.names]
        words = [f"{name}\\:{_quoted_fish(_zsh_text(text))}" for name, text in command.inner.items()]
        words += command.choices
        lines.append(_quoted(f"*:word:(({' '.join(words)}))" if words else "*:file:_files"))
        cases += f'        ("{command.words}") _arguments \\\n'
        cases += " \\\n".join(f"            {line}" for line in lines) + " ;;\n"
    return f"""#compdef edgeward
# zsh completion of edgeward, made by: edgeward completion zsh
_edgeward() {{
    local at=edgeward i
    for ((i = 2; i < CURRENT; i++)); do
        case "$at $words[i]" in
            ({_known(commands, "|")}) at="$at $words[i]" ;;
        esac
    done
    case $at in
{cases}    esac
}}
if [[ $funcstack[1] == _edgeward ]]; then
    _edgeward "$@"
else
    compdef _edgeward edgeward
fi
"""


def _fish(commands: list[_Command]) -> str:
    lines = []
    for command in commands:
        here = f"complete -c edgeward -n {_quoted(f'__edgeward_at {_quoted_fish(command.words)}')}"
        lines += [f"{here} -a {name} -d {_quoted_fish(text)}" for name, text in command.inner.items()]
        lines += [f"{here} -a {choice}" for choice in command.choices]
        if not command.inner and not command.choices:
            lines.append(f"{here} -F")
        for option in command.options:
            names = " ".join(
                f"-l {name[2:]}" if name[:2] == "--" else f"-s {name[1:]}" for name in option.names
            )
            takes = " -r -F" if option.of_files else " -x" if option.value else ""
            lines.append(f"{here} {names}{takes} -d {_quoted_fish(option.help)}")
    return f"""# fish completion of edgeward, made by: edgeward completion fish
function __edgeward_at
    set -l at edgeward
    for word in (commandline -opc)[2..-1]
        if contains -- "$at $word" {_known(commands, " ")}
            set at "$at $word"
        end
    end
    test "$at" = "$argv"
end
complete -c edgeward -f
""" + "".join(f"{line}\n" for line in lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _quoted_fish(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def _zsh_text(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "[]:\\" else sign for sign in text)


SHELLS: dict[str, Callable[[list[_Command]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
