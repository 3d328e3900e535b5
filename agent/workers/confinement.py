"""What a worker of this device needs, and so may have: the rest is refused by the kernel."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import runtime
from agent import config as schema
from agent.workers.shared import Shared
from runtime.bundle.ingested import Ingested
from runtime.rights import Rights

# Libraries, their data, and what they look up. Of /etc nothing that is secret: keys and passwords lie there.
_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/proc",
    "/sys",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/connman",
    "/run/opengl-driver",
    "/run/udev",
    # Where /etc/ssl/certs leads to in openSUSE.
    "/var/lib/ca-certificates",
)
_ETC = (
    "OpenCL",
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "gai.conf",
    "glvnd",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.preload",
    "localtime",
    "nsswitch.conf",
    "nv_tegra_release",
    "passwd",
    "pki/ca-trust/extracted",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "protocols",
    "resolv.conf",
    "services",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "vulkan",
)
# Cameras, graphics, accelerators, video codecs, and what every program has.
_NODES = (
    "null", "zero", "full", "random", "urandom", "shm",
    "dri", "dma_heap", "accel", "snd", "bus/usb", "v4l", "nvidia-caps",
)  # fmt: skip
_NODES_LIKE = (
    "video*", "media*", "v4l-subdev*", "nvidia*", "nvhost*", "nvmap", "nvgpu*", "tegra*", "kfd", "mali*",
    "rga", "mpp_service", "vpu_service", "hevc_service", "rknpu*", "galcore", "hailo*", "apex_*", "vchiq",
    "vcsm*", "vcio", "vcio_gencmd", "ion", "mem2mem*", "ethosu*", "memx*",
)  # fmt: skip
# Folders that hold more than films.
_WIDE = (
    "/", "/dev", "/etc", "/home", "/mnt", "/media", "/root", "/run", "/srv", "/tmp", "/var", "/var/lib",  # noqa: S108
)  # fmt: skip
_NETWORK = ("http", "https", "rtsp", "rtsps")


def rights(config: schema.Pipeline, shared: Shared, bundles: Iterable[Ingested], scratch: Path) -> Rights:
    """The rights of a worker of this pipeline, while these bundles run."""
    if not shared.supervision.confine:
        return Rights(scratch=str(scratch), core_bytes=shared.cores.bytes_allowed)
    read, write = _of_engines(shared, bundles, scratch)
    network = False
    for stream in config.stream:
        if urlsplit(stream.url).scheme in _NETWORK:
            network = True
        else:
            read += _of_film(stream.url, shared.state_dir)
    ports, sockets = _listens(config)
    return system_rights(
        read=read,
        write=write,
        scratch=scratch,
        connect=network,
        bind=ports,
        sockets=sockets,
        core_bytes=shared.cores.bytes_allowed,
    )


def trial_rights(shared: Shared, bundle: Ingested, scratch: Path) -> Rights:
    """The rights of a child that tries a bundle: it meets a model first of all, and needs no camera."""
    if not shared.supervision.confine:
        return Rights(scratch=str(scratch))
    read, write = _of_engines(shared, [bundle], scratch)
    return system_rights(read=read, write=write, scratch=scratch)


def _of_engines(shared: Shared, bundles: Iterable[Ingested], scratch: Path) -> tuple[list[str], list[str]]:
    """What engines read and write, and what the configuration adds."""
    read = [*shared.supervision.read, *(bundle.folder for bundle in bundles)]
    read += [str(Path(item.path).parent) for item in shared.engine.delegate if "/" in item.path]
    write = [str(scratch), *shared.supervision.write]
    if shared.engine.cache_dir:
        write.append(shared.engine.cache_dir)
    return read, write


def system_rights(
    *,
    read: Sequence[str],
    write: Sequence[str],
    scratch: Path,
    connect: bool = False,
    bind: tuple[int, ...] = (),
    sockets: tuple[str, ...] = (),
    core_bytes: int = 0,
) -> Rights:
    """``read`` and ``write``, and what every worker needs of this system."""
    system = [*_SYSTEM, *(f"/etc/{name}" for name in _ETC), *_python()]
    return Rights(
        confined=True,
        read=tuple(dict.fromkeys([*system, *read])),
        write=tuple(dict.fromkeys([*_nodes(), *write])),
        connect=connect,
        bind=bind,
        sockets=sockets,
        scratch=str(scratch),
        core_bytes=core_bytes,
    )


def _listens(config: schema.Pipeline) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Ports and folders of sockets of the inference API."""
    if config.serve is None:
        return (), ()
    listen = config.serve.listen
    if listen.startswith("unix:"):
        return (), (str(Path(listen.removeprefix("unix:")).parent),)
    return (int(listen.rpartition(":")[2]),), ()


def _python() -> list[str]:
    """Where modules lie: the interpreter's own, and what is installed; of a checkout our packages only."""
    package = Path(str(runtime.__file__)).resolve().parent
    root = package.parent
    found = [sys.prefix, sys.base_prefix]
    extra = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    for entry in [*sys.path, *extra]:
        folder = Path(entry).resolve() if entry else None
        if folder is not None and folder not in {root, *root.parents}:
            found.append(str(folder))
    if root.name not in {"site-packages", "dist-packages"}:
        found += [str(root / name) for name in ("runtime", "native", "build")]
    return found


def _nodes() -> list[str]:
    device = Path("/dev")
    found = [str(device / name) for name in _NODES]
    for pattern in _NODES_LIKE:
        found += [str(path) for path in device.glob(pattern)]
    return found


def _of_film(url: str, state_dir: Path) -> list[str]:
    """The folder of a film, so that a new one in its place can be read; a wide one's file only.

    Where the name is a link, the folder that it leads to as well.
    """
    path = Path(unquote(urlsplit(url).path) if url.startswith("file:") else url)
    if str(path).startswith("/dev/"):
        return [str(path)]
    try:
        folders = {path.parent.resolve(), path.resolve().parent}
        state = state_dir.resolve()
    except (OSError, RuntimeError):
        return [str(path)]  # a circle of links: whoever opens it says so
    found = []
    for folder in folders:
        wide = str(folder) in _WIDE or folder == state or folder in state.parents or state in folder.parents
        found.append(str(path) if wide else str(folder))
    return found
