"""``edgeward bundle init``: a folder with a first ``bundle.toml`` from a model file."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import textwrap
from pathlib import Path
from typing import Any

from agent.cli import author_child, output

EPILOG = """\
examples:
  edgeward bundle init yolox_nano.onnx --labels coco.names
  edgeward bundle init faces.onnx --size 640x480 --out faces/
  edgeward bundle init mobilenet.tflite --json

Tensors stand in the model file. Which decoder reads them is guessed from names, shapes and what the model
gives for noise; how pictures are fed to it, from the way of that family. bundle.toml says the reason of each,
and lists what nobody can know.
"""


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the action."""
    parser = actions.add_parser(
        "init",
        help="draft a folder with a bundle.toml from an ONNX or TFLite file",
        allow_abbrev=False,
        description="Draft a folder with a bundle.toml from a model file (.onnx, .tflite).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="the model file; it is copied")
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, help="a new or empty folder (default: the bundle's name)"
    )
    parser.add_argument("--name", type=_name, help="of the bundle (default: the file's)")
    parser.add_argument("--labels", metavar="FILE", type=Path, help="names of the classes, one a line")
    parser.add_argument(
        "--size", metavar="WxH", type=_size, help="pixels of the picture, where the file leaves them open"
    )
    output.add_json_option(parser)
    parser.set_defaults(handler=handle)


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", text):
        what = f"{text!r} is not lower-case letters, digits, '.', '_', '-', at most 64, like 'person-v2'"
        raise argparse.ArgumentTypeError(what)
    return text


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT in pixels, like 640x480")
    return int(match[1]), int(match[2])


def handle(options: argparse.Namespace) -> int:
    """Draft."""
    request = {
        "model": str(options.model.absolute()),
        "out": str(options.out.absolute()) if options.out else "",
        "name": options.name or "",
        "labels": str(options.labels.absolute()) if options.labels else "",
        "size": options.size,
    }
    found = author_child.run("init", request, where=str(options.model))
    if options.json:
        output.print_document(found)
    else:
        sys.stdout.write(_summary(found))
    return 0


def _summary(found: dict[str, Any]) -> str:
    variant, labels = found["variant"], found["labels"]
    decoder = found["decoder"]
    pre = found["preprocess"]
    rows = [
        ("model", f"{found['model']}: {variant['engine']}, {variant.get('precision', 'float32')}"),
        *(("in", _tensor(each)) for each in variant["inputs"]),
        *(("out", _tensor(each)) for each in variant["outputs"]),
        ("decoder", f"{decoder['name']}: {decoder['reason']}"),
        *(("", f"instead perhaps {each}") for each in decoder["instead"]),
        ("preprocess", f"{pre['fit']}, {pre['order']}; {found['preprocess_reason']}"),
        ("labels", f"{labels['count']}, {labels['source']}" if labels["count"] else "none"),
        ("trial", _trial(found["trial"])),
    ]
    text = f"drafted {output.plain(found['folder'])}/bundle.toml\n"
    text += "".join(_row(name, line) for name, line in rows)
    if found["to_check"]:
        text += "to check, since the model file does not say it:\n"
        text += "".join(_filled(each, f"  {number}. ") for number, each in enumerate(found["to_check"], 1))
    folder, bundle = shlex.quote(found["folder"]), f"{found['name']}.ewb"
    text += f"next: edgeward bundle pack {folder} --out {bundle}\n"
    text += f"      edgeward bundle sign {bundle} --key KEY\n"
    return text + f"      edgeward run --bundle {bundle} --key PUB --source PICTURE  # one that you know\n"


def _trial(trial: dict[str, Any]) -> str:
    if "refused" in trial:
        return f"REFUSED: {trial['refused']}"
    return f"loaded and ran on noise, {trial['frame_ms']:.1f} ms a frame on one thread"


def _row(name: str, line: str) -> str:
    return _filled(line, f"  {name:<11}")


def _filled(line: str, before: str) -> str:
    # Names of tensors are whoever's who made the model, and may hold commands to the terminal.
    shown = output.plain(line)
    return textwrap.fill(shown, 100, initial_indent=before, subsequent_indent=" " * len(before)) + "\n"


def _tensor(spec: dict[str, Any]) -> str:
    shown = f"{spec['name']} {spec['dtype']} [{', '.join(map(str, spec['shape']))}]"
    if quantisation := spec.get("quantisation"):
        shown += f", scale {quantisation['scale']:g}, zero point {quantisation.get('zero_point', 0)}"
    return shown
