"""An engine of another package, found by its entry point, that does to its process what its model file says.

The model of a variant is a text: what to do when it is loaded, or, after ``run:``, when it runs. ``run:``
alone is a good one. All of it is real: real signals, real memory, real endless sleep.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import Signed, make_signed

ENGINE = '''
import ctypes, os, shlex, signal, sys, threading, time

from runtime.engine import Capabilities, TensorInfo, allocate


def capabilities():
    return Capabilities(available=True, version="1.0", providers=("mischief",))


def load(variant, files, options, *, where):
    global first
    first = False
    if options.cache_dir and not os.path.exists(mark := os.path.join(options.cache_dir, variant.id)):
        first = True
        open(mark, "w").close()
    deed = files.model.decode()
    if not deed.startswith("run:"):
        do(deed)
        deed = ""
    return Engine(variant, deed[len("run:"):])


class Engine:
    provider = "mischief"

    def __init__(self, variant, deed):
        self.inputs = [TensorInfo(one.name, one.dtype, one.shape) for one in variant.inputs]
        self.outputs = [TensorInfo(one.name, one.dtype, one.shape) for one in variant.outputs]
        self._variant = variant
        self._deed = deed
        self._bindings = {}

    def bind(self, batch):
        return self._bindings.setdefault(batch, Binding(self._variant, self._deed, batch))

    def release(self, batch):
        pass

    def close(self):
        pass


class Binding:
    def __init__(self, variant, deed, batch):
        def sized(one):
            return allocate(one.dtype, [batch if isinstance(size, str) else size for size in one.shape])

        self.inputs = [sized(one) for one in variant.inputs]
        self.outputs = [sized(one) for one in variant.outputs]
        self._batch = batch
        self._deed = deed
        self._runs = 0

    def run(self):
        self._runs += 1
        self.outputs[0][...] = (0.125, 0.875)
        if self._deed.startswith("after="):
            runs, _, deed = self._deed.removeprefix("after=").partition(" ")
            if self._runs == int(runs):
                sys.stderr.write("mischief begins\\n")
                do(deed)
            return
        if self._deed == f"lie in batches of {self._batch}":
            self.outputs[0][...] = (0.75, 0.25)
        do("slow" if "in batches" in self._deed else self._deed, self._runs)


def sockets():
    """The descriptors of this process that lead to the agent."""
    for number in range(3, 64):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith("socket:"):
                yield number
        except OSError:
            pass


def forge():
    """Figures as good as any, which nobody took."""
    from runtime import ipc
    from runtime.preflight.messages import Examined, LatencyFigures
    latency = LatencyFigures(rounds=30, width=8, height=8, p50_ms=1, p95_ms=1, max_ms=1, stages_ms={})
    found = Examined(variant="bad", engine="mischief", provider="mischief", load_ms=1, batch=1,
                     golden=None, latency=latency, peak_mb=1, pss_mb=1)
    for number in sockets():
        os.write(number, ipc.encode(found))


def flood(count):
    """So many bytes on standard error, as fast as they are taken."""
    line = b"x" * 199 + b"\\n"
    for _ in range(count // (500 * len(line)) + 1):
        os.write(2, line * 500)
    open("the-flood-is-over", "w").close()  # in the scratch folder: a line of it would be left out too


def attempt(paths):
    """Say what this process can do: read and list the first path, write below each of the rest; connect."""
    import socket, subprocess
    deeds = {"read": lambda: open(paths[0]).read(), "list": lambda: os.listdir(os.path.dirname(paths[0]))}
    for number, path in enumerate(paths[1:]):
        deeds[f"write {number}"] = lambda path=path: open(os.path.join(path, "planted"), "w").close()
    cat = {"args": ["/bin/cat", paths[0]], "check": True, "capture_output": True}
    deeds["run"] = lambda: subprocess.run(**cat)
    deeds["connect"] = lambda: socket.create_connection(("127.0.0.1", 9), 1)
    deeds["listen"] = lambda: socket.create_server(("127.0.0.1", 0)).close()
    deeds["kill"] = lambda: os.kill(os.getppid(), 0)
    deeds["control"] = lambda: ask(os.environ["TMPDIR"] + "/../../../control.sock")
    for name, deed in deeds.items():
        try:
            deed()
            found = "done"
        except Exception as error:
            found = type(error).__name__
        sys.stderr.write(f"attempt: {name}: {found}\\n")


def ask(path):
    """Hold a connection to the agent's control socket for a moment, if it lets us."""
    import socket
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(1)
        link.connect(path)
        try:
            link.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
            while link.recv(4096):
                pass
        except TimeoutError:
            return
        except OSError:
            pass
        raise ConnectionResetError  # however it was ended


first = False


def do(deed, runs=0):
    if deed == "abort":
        os.abort()
    elif deed == "native abort":
        ctypes.CDLL(None).abort()
    elif deed == "segfault":
        ctypes.string_at(0)
    elif deed == "sleep":
        while True:
            time.sleep(3600)
    elif deed == "sleep deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        ctypes.CDLL(None).pause()
        while True:
            time.sleep(3600)
    elif deed == "burn":
        while True:
            pass
    elif deed == "late sleep" and runs == 20:
        time.sleep(3600)
    elif deed == "exit":
        os._exit(0)
    elif deed == "eat":
        eaten = []
        while True:
            eaten.append(bytearray(os.urandom(1 << 20)))
    elif deed == "print":
        while True:
            sys.stderr.write("x" * 1000 + "\\n")
    elif deed == "garbage":
        for number in sockets():
            os.write(number, b"\\0\\0\\0\\5hello")
        time.sleep(3600)
    elif deed == "endless frame":
        for number in sockets():
            os.write(number, b"\\xff" * 64)
        time.sleep(3600)
    elif deed == "lie":
        from runtime import ipc
        for number in sockets():
            os.write(number, ipc.encode(ipc.Stopped(reason="stop")))
        time.sleep(3600)
    elif deed == "close":
        for number in sockets():
            os.close(number)
        time.sleep(3600)
    elif deed == "flood socket":
        from runtime import ipc
        message = ipc.encode(ipc.StreamChanged(stream="cam", state="running", mono_ns=0))
        for number in sockets():
            while True:
                os.write(number, message * 100)
    elif deed.startswith("flood "):
        threading.Thread(target=flood, args=(int(deed.split()[1]),), daemon=True).start()
    elif deed.startswith("try "):
        attempt(shlex.split(deed)[1:])
    elif deed == "child":
        if os.fork() == 0:
            time.sleep(3600)
        os.abort()
    elif deed == "forge":
        forge()
        time.sleep(3600)
    elif deed == "slow at first" and first:
        time.sleep(3)
    elif deed == "hiccups at first" and first and runs % 8 == 0:
        time.sleep(0.1)
    elif deed == "slow":
        time.sleep(0.02)
    elif deed == "raise":
        raise KeyError("no such operator")
'''

_VARIANT = """
[[variant]]
id = "{id}"
engine = "mischief"
file = "{id}.model"
input = [{{ name = "x", dtype = "float32", shape = [1, 3, 32, 32] }}]
output = [{{ name = "y", dtype = "float32", shape = [1, 2] }}]
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files as pip leaves them behind, where children find them."""
    folder.mkdir()
    (folder / "mischief_edgeward.py").write_text(ENGINE)
    info = folder / "mischief_edgeward-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mischief_edgeward\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[edgeward.engines]\nmischief = mischief_edgeward\n")
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{before}" if before else str(folder))


def bundle(
    folder: Path, deeds: Mapping[str, str], extra: str = "", name: str = "mischief", *, release: int = 1
) -> Signed:
    """A bundle with a variant for each deed, by id; ``extra`` goes to the end of ``bundle.toml``."""
    author = folder / "author"
    author.mkdir(parents=True)
    text = f'[bundle]\nname = "{name}"\nversion = "{release}.0.0"\nrelease_counter = {release}\n'
    text += 'labels_file = "labels.txt"\n'
    for one, deed in deeds.items():
        (author / f"{one}.model").write_text(deed)
        text += _VARIANT.format(id=one)
    (author / "labels.txt").write_text("nothing\nsomething\n")
    text += '[preprocess]\nfit = "stretch"\n[postprocess]\ndecoder = "classification"\n' + extra
    (author / "bundle.toml").write_text(text)
    return make_signed(folder, author, author / f"{next(iter(deeds))}.model")
