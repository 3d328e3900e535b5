"""What the shells complete: asked of the shells themselves."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from agent.cli.completion import SHELLS, _commands
from agent.cli.main import build_parser

pytestmark = pytest.mark.unit


def script(shell: str) -> str:
    return SHELLS[shell](list(_commands(build_parser())))


def run(shell: str, text: str, *options: str) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command = [shell, *options, "-c", text] if text else [shell, *options]
    done = subprocess.run(
        command,
        input=script(shell) if not text else "",
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def bash(*words: str) -> list[str]:
    """What bash offers for the last of ``words``; ``FILES`` where it offers file names."""
    line = " ".join(f"'{word}'" for word in words)
    text = f"""compopt() {{ echo FILES; }}
{script("bash")}
COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}
_edgeward; printf '%s\\n' "${{COMPREPLY[@]}}" """
    return run("bash", text, "--norc").split()


BUNDLE_ACTIONS = ["init", "pack", "sign", "verify", "inspect", "unpack", "extract", "diff", "quantize"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("edgeward", "be"), ["bench"]),
        (("edgeward", "bundle", ""), BUNDLE_ACTIONS),
        (("edgeward", "bundle", "pack", ""), ["FILES"]),
        (("edgeward", "run", "--ti"), ["--timeout", "--tiles", "--tile-overlap"]),
        (("edgeward", "run", "--bundle", ""), ["FILES"]),
        (("edgeward", "run", "--bundle", "x.ewb", "--so"), ["--source"]),
        (("edgeward", "run", "--max-fps", ""), []),
        (("edgeward", "completion", "f"), ["fish"]),
        (("edgeward", "--h"), ["--help"]),
    ],
)
def test_bash_offers_what_fits_there(words: tuple[str, ...], offered: list[str]) -> None:
    assert bash(*words) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_understand_their_scripts(shell: str) -> None:
    run(shell, "", "-n")


def test_fish_offers_what_fits_there() -> None:
    asked = ("edgeward be", "edgeward bundle ", "edgeward run --tile")
    text = script("fish") + "".join(f'complete -C "{line}" | string split -f1 \\t\n' for line in asked)
    wanted = ("bench", *BUNDLE_ACTIONS, "--tile-overlap", "--tiles")
    assert sorted(run("fish", text).split()) == sorted(wanted)


@pytest.mark.parametrize("shell", list(SHELLS))
def test_every_option_of_every_command_is_there(shell: str) -> None:
    text = script(shell)
    for command in _commands(build_parser()):
        assert command.words in text
        for option in command.options:
            for name in option.names:
                assert (name if shell != "fish" else name.lstrip("-")) in text
