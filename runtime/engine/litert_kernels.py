"""What computes a LiteRT model: delegates, XNNPACK, or LiteRT's own kernels; found out, never assumed.

LiteRT hands to a delegate what that can run and keeps the rest, without a word. The graph after planning
tells: a delegate's share is a node of its own whose outputs it now gives.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

from runtime.engine import first_line
from runtime.engine.preference import unavailable, wanted
from runtime.errors import Code, EdgewardError
from runtime.ipc import Delegate, EngineOptions

XNNPACK, CPU = "XNNPACK", "CPU"
KINDS = (XNNPACK, CPU)
_DELEGATE = "DELEGATE"


def kind(options: EngineOptions, *, where: str) -> str:
    """What runs what the delegates leave over: ``XNNPACK`` or ``CPU`` (LiteRT's own kernels).

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE`` when something else is wanted.
    """
    return wanted(options, KINDS, KINDS, where=where)[0]


def load_delegate(module: Any, delegate: Delegate, *, where: str) -> Any:
    """A vendor's delegate.

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE``, naming its file.
    """
    try:
        # LiteRT's wrapper throws from its finalizer when it cannot open the library: so that is tried first.
        _ = ctypes.CDLL(delegate.path).tflite_plugin_create_delegate
        return module.load_delegate(delegate.path, dict(delegate.options))
    except (OSError, ValueError, RuntimeError, AttributeError) as error:
        raise EdgewardError(
            Code.ENGINE_UNAVAILABLE,
            f"the delegate {delegate.path} cannot be loaded: {first_line(error)}",
            where=where,
            remedy="check its path, its options, and that it is built for this board and this LiteRT",
        ) from error


def count_delegated(interpreter: Any) -> int:
    """How many nodes delegates have; before memory is planned these are only those that were asked for."""
    return sum(node["op_name"] == _DELEGATE for node in _nodes(interpreter))


def running(interpreter: Any, asked: int, options: EngineOptions, *, where: str) -> str:
    """What runs the model: ``XNNPACK``, ``XNNPACK + CPU``, ``CPU``, ``libedgetpu.so + CPU``.

    Args:
        interpreter: with its memory planned.
        asked: ``count_delegated`` before that.
        options: those that it was made with.
        where: what is loaded, for errors.

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE`` when a delegate or a forced XNNPACK has no part of the model.
    """
    nodes = _nodes(interpreter)
    delegated = [at for at, node in enumerate(nodes) if node["op_name"] == _DELEGATE]
    names = " + ".join(each.path.rpartition("/")[2] for each in options.delegates)
    if options.delegates and not asked:
        raise unavailable(f"{names}: it can run no part of this model", KINDS, where=where)
    label = {at: names if order < asked else XNNPACK for order, at in enumerate(delegated)}
    used = _reached(interpreter, nodes, delegated)
    found = list(
        dict.fromkeys(label.get(at, CPU) for at in sorted(used, key=lambda at: (at not in label, at)))
    )
    if options.provider.lower() == XNNPACK.lower() and XNNPACK not in found:
        raise unavailable(f"{XNNPACK}: it can run no part of this model", KINDS, where=where)
    return " + ".join(found) or CPU


def _reached(interpreter: Any, nodes: list[dict[str, Any]], delegated: list[int]) -> set[int]:
    """Positions of the nodes that really run, backwards from the model's outputs."""
    producer: dict[int, int] = {}
    # Those of delegates are written last: they stand in for the nodes that they took over.
    for at in [*(at for at in range(len(nodes)) if at not in set(delegated)), *delegated]:
        producer.update(dict.fromkeys((int(index) for index in nodes[at]["outputs"]), at))
    ahead = [int(each["index"]) for each in interpreter.get_output_details()]
    seen: set[int] = set()
    used: set[int] = set()
    while ahead:
        index = ahead.pop()
        if index in seen or index not in producer:
            continue
        seen.add(index)
        used.add(producer[index])
        ahead += [int(each) for each in nodes[producer[index]]["inputs"] if each >= 0]
    return used


def moves(interpreter: Any) -> bool:
    """Whether tensors change their place while the model runs.

    After an operator whose output has a size that only the run decides, LiteRT plans the rest of the graph
    anew, in each run, and may have to move *all* tensors to larger memory, inputs included.
    """
    nodes = _nodes(interpreter)
    delegated = [at for at, node in enumerate(nodes) if node["op_name"] == _DELEGATE]
    written = {int(each) for at in _reached(interpreter, nodes, delegated) for each in nodes[at]["outputs"]}
    return bool(dynamic(interpreter, written))


def dynamic(interpreter: Any, indices: Iterable[int]) -> set[int]:
    """Tensors whose memory LiteRT allocates anew in each run, since their size comes out of it."""
    found = set()
    for index in indices:
        try:
            interpreter.tensor(index)()
        except ValueError:
            found.add(index)
    return found


def signatures(interpreter: Any) -> list[dict[str, dict[str, int]]]:
    """The model's signatures: tensor numbers by name, of inputs and of outputs."""
    # The public list has names alone, and no other call maps them to tensors; both packages have this one.
    return list(interpreter._get_full_signature_list().values())  # noqa: SLF001


def _nodes(interpreter: Any) -> list[dict[str, Any]]:
    # There is no public way to ask what a delegate took; both packages have this one.
    return list(interpreter._get_ops_details())  # noqa: SLF001
