"""``edgeward completion``: a script for a shell that completes commands and options, made from the parser.

Names of pipelines are asked of the running agent while its user waits for them: no answer is as good as none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.cli import device
from runtime.errors import EdgewardError

EPILOG = """\
examples:
  source <(edgeward completion bash)
  edgeward completion bash > /etc/bash_completion.d/edgeward
  edgeward completion zsh > "${fpath[1]}/_edgeward"
  edgeward completion fish > ~/.config/fish/completions/edgeward.fish

The scripts ask 'edgeward completion pipelines' and 'edgeward completion streams' for the names that the
running agent knows; these print nothing where no agent answers within a second.
"""

# What an argument called so is completed with: names that the agent knows.
NAMES = {"PIPELINE": "pipelines", "PIPELINE[/STREAM]": "streams"}
PATIENCE_S = 1.0
FILE_VALUES = {"FILE", "URL"}  # what is no Path to argparse and may be one to its user


@dataclass(frozen=True, slots=True)
class _Option:
    """``value`` is what its argument is called, empty when it takes none.

    ``asks`` says which names of the agent it may be, ``choices`` which words.
    """

    names: tuple[str, ...]
    help: str
    value: str
    of_files: bool
    again: bool
    asks: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Command:
    """``words`` are those that lead to it, ``inner`` the names and helps of its subcommands.

    ``asks`` says which names the agent is asked for where an argument may stand.
    """

    words: str
    inner: dict[str, str]
    options: tuple[_Option, ...]
    choices: tuple[str, ...]
    asks: str


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "completion",
        help="print a script that completes commands and options in a shell",
        description="Print a script that completes commands, options, file names and names of pipelines in a "
        "shell.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "shell",
        choices=(*SHELLS, *NAMES.values()),
        help="bash, zsh or fish; or which names to print for such a script",
    )
    parser.set_defaults(handler=handle, socket=None)


def handle(options: argparse.Namespace) -> int:
    """Print the script, or the names."""
    if options.shell in NAMES.values():
        sys.stdout.write("".join(f"{name}\n" for name in _ask(options)))
        return 0
    from agent.cli.main import build_parser  # noqa: PLC0415 - it imports this module

    print(SHELLS[options.shell](list(_commands(build_parser()))), end="")  # noqa: T201
    return 0


def _ask(options: argparse.Namespace) -> list[str]:
    """Names for the command line that is being typed: an error message would land in its middle."""
    try:
        with device.connect(options) as agent:
            status = agent.run(lambda client: client.get_status(timeout_s=PATIENCE_S))
    except EdgewardError:
        return []  # nobody to ask: nothing to offer
    names = []
    for pipeline in status.pipelines:
        names.append(pipeline.name)
        if options.shell == "streams":
            names += [f"{pipeline.name}/{stream.name}" for stream in pipeline.streams]
    return names


def _commands(parser: argparse.ArgumentParser) -> Iterator[_Command]:
    inner: dict[str, str] = {}
    options, choices, below, asks = [], [], [], ""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            inner = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            below = list(action.choices.values())
        elif action.option_strings:
            value = "" if action.nargs == 0 else str(action.metavar or action.dest)
            again = isinstance(action, argparse._AppendAction)  # noqa: SLF001
            files = bool(value) and (action.type is Path or value in FILE_VALUES)
            names = NAMES.get(value, "")
            words = tuple(str(choice) for choice in action.choices or ())
            options.append(
                _Option(tuple(action.option_strings), action.help or "", value, files, again, names, words)
            )
        elif action.choices:
            choices += [str(choice) for choice in action.choices]
        else:
            asks = NAMES.get(str(action.metavar), "") or asks
    yield _Command(parser.prog, inner, tuple(options), tuple(choices), asks)
    for one in below:
        yield from _commands(one)


def _known(commands: list[_Command], between: str) -> str:
    return between.join(f'"{command.words}"' for command in commands[1:])


def _bash(commands: list[_Command]) -> str:
    cases = chosen = ""
    for command in commands:
        named = {"options": command.options, "files": [one for one in command.options if one.of_files]}
        named["named"] = [one for one in command.options if one.asks]
        named["values"] = [one for one in command.options if one.value and not (one.of_files or one.asks)]
        sets = [f'words="{" ".join([*command.inner, *command.choices])}"', f'asks="{command.asks}"']
        sets += [f'{name}="{" ".join(sum((one.names for one in of), ()))}"' for name, of in named.items()]
        cases += f'        "{command.words}") {" ".join(sets)} ;;\n'
        for option in command.options:
            if option.choices:
                places = " | ".join(f'"{command.words} {name}"' for name in option.names)
                chosen += f'            {places}) words="{" ".join(option.choices)}" ;;\n'
    return f"""# bash completion of edgeward, made by: edgeward completion bash
_edgeward() {{
    local at=edgeward cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
    local i words asks options files named values
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at ${{COMP_WORDS[i]}}" in
            {_known(commands, " | ")}) at="$at ${{COMP_WORDS[i]}}" ;;
        esac
    done
    case $at in
{cases}    esac
    COMPREPLY=()
    if [[ " $values " == *" $prev "* ]]; then
        words=
        case "$at $prev" in
{chosen}        esac
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    elif [[ " $files " == *" $prev "* ]]; then
        compopt -o default
    elif [[ " $named " == *" $prev "* ]]; then
        COMPREPLY=($(compgen -W "$(edgeward completion pipelines 2>/dev/null)" -- "$cur"))
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ -n $words ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    elif [[ -n $asks ]]; then
        COMPREPLY=($(compgen -W "$(edgeward completion $asks 2>/dev/null)" -- "$cur"))
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
            chosen = f"({' '.join(option.choices)})" if option.choices else " "
            action = "_files" if option.of_files else _zsh_names(option.asks) if option.asks else chosen
            value = f":{_zsh_text(option.value)}:{action}" if option.value else ""
            told = f"[{_zsh_text(option.help)}]{value}"
            lines += [_quoted(f"{'*' * option.again}{name}{told}") for name in option.names]
        words = [f"{name}\\:{_quoted_fish(_zsh_text(text))}" for name, text in command.inner.items()]
        words += command.choices
        rest = f"*:name:{_zsh_names(command.asks)}" if command.asks else "*:file:_files"
        lines.append(_quoted(f"*:word:(({' '.join(words)}))" if words else rest))
        cases += f'        ("{command.words}") _arguments \\\n'
        cases += " \\\n".join(f"            {line}" for line in lines) + " ;;\n"
    return f"""#compdef edgeward
# zsh completion of edgeward, made by: edgeward completion zsh
_edgeward_names() {{
    local -a names=(${{(f)"$(edgeward completion $1 2>/dev/null)"}})
    compadd -a names
}}
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


def _zsh_names(asks: str) -> str:
    # The space keeps zsh from adding options of its own before the argument.
    return f" _edgeward_names {asks}"


def _fish(commands: list[_Command]) -> str:
    lines = []
    for command in commands:
        here = f"complete -c edgeward -n {_quoted(f'__edgeward_at {_quoted_fish(command.words)}')}"
        lines += [f"{here} -a {name} -d {_quoted_fish(text)}" for name, text in command.inner.items()]
        lines += [f"{here} -a {choice}" for choice in command.choices]
        if command.asks:
            lines.append(f"{here} -a {_quoted(_fish_names(command.asks))}")
        elif not command.inner and not command.choices:
            lines.append(f"{here} -F")
        for option in command.options:
            names = " ".join(
                f"-l {name[2:]}" if name[:2] == "--" else f"-s {name[1:]}" for name in option.names
            )
            takes = " -r -F" if option.of_files else " -x" if option.value else ""
            takes += f" -a {_quoted(_fish_names(option.asks))}" if option.asks else ""
            takes += f" -a {_quoted(' '.join(option.choices))}" if option.choices else ""
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


def _fish_names(asks: str) -> str:
    return f"(edgeward completion {asks} 2>/dev/null)"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _quoted_fish(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def _zsh_text(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "[]:\\" else sign for sign in text)


SHELLS: dict[str, Callable[[list[_Command]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
