"""An RTSP server for the demo and the tests: plays recorded access units as a camera would.

Run by the system's Python, since GStreamer's bindings come with the distribution
(Debian: python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-base and -good):

    /usr/bin/python3 examples/rtsp/server.py --port 0 --mount cam1=belt.aus

prints `{"port": 40123, "mounts": ["cam1"]}` once rtsp://127.0.0.1:40123/cam1 can be opened.

Every client gets its own playback that starts at frame 0, so that a client can name the frame it sees:
the first picture has presentation time 0 and `round(seconds * fps)` is the frame's number, counted on when
the recording loops (number modulo `frames` is the place in the file). With --speed S the times are divided
by S, so the rule becomes `round(seconds * fps * S)`. RTP time is presentation time, also for recordings
with B-frames. Readers built on FFmpeg give the very first picture no time at all (its parser wants a byte
position, which RTP packets lack; cameras meet the same): a picture without a time before any with one is
number 0.

A `.aus` file is one line of JSON,

    {"codec": "h264" | "h265", "width": W, "height": H, "fps": "15/1", "frames": N, "duration_ns": D}

and then N access units in decoding order, each: size (u32), pts (i64), dts (i64), little-endian, times in
nanoseconds, the first picture shown at 0; then `size` bytes of Annex B, with parameter sets at key frames.
`examples/rtsp/access_units.py` writes such files.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402  (versions are chosen first)

UNIT_HEADER = struct.Struct("<Iqq")
ROLE = "viewer"
# Payloaders round RTP time down: a microsecond keeps 133,333,333 ns at 12,000 ticks of 90 kHz, not 11,999.
ROUNDING_NS = 1000
PR_SET_PDEATHSIG = 1
PAYLOADERS = {"h264": ("video/x-h264", "rtph264pay"), "h265": ("video/x-h265", "rtph265pay")}
AUDIO_PIPELINE = (
    "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay0 pt=8"
)


class Recording:
    """The access units of one `.aus` file, in memory."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            line, data = file.readline(), file.read()
        try:
            header: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}: its first line isn't JSON, so it is no .aus file ({error})") from error
        if header.get("codec") not in PAYLOADERS:
            raise ValueError(f"{path}: codec is {header.get('codec')!r}, expected h264 or h265")
        self.codec: str = header["codec"]
        self.duration_ns: int = header["duration_ns"]
        self.units: list[tuple[int, int, bytes]] = []
        at = 0
        while at < len(data):
            size, pts, dts = UNIT_HEADER.unpack_from(data, at)
            at += UNIT_HEADER.size
            if at + size > len(data):
                raise ValueError(f"{path}: cut off inside access unit {len(self.units)}")
            self.units.append((pts, dts, data[at : at + size]))
            at += size
        if len(self.units) != header["frames"] or not self.units:
            raise ValueError(f"{path}: {len(self.units)} access units, header says {header['frames']}")

    def pipeline(self) -> str:
        """The GStreamer pipeline that packs this recording into RTP."""
        media_type, payloader = PAYLOADERS[self.codec]
        caps = f"{media_type},stream-format=byte-stream,alignment=au"
        return f'appsrc name=source format=time caps="{caps}" ! {payloader} name=pay0 pt=96'


class Playback:
    """One client's way through a recording: answers each `need-data` with the next access unit.

    The source isn't live: it fills a small queue and the sink sends each unit when its time has come, so
    the pace is exact and the first buffer has running time 0.
    """

    def __init__(self, recording: Recording, once: bool, speed: float) -> None:
        self.recording = recording
        self.once = once
        self.speed = speed
        self.next = 0

    def need_data(self, source: Gst.Element, _length: int) -> None:
        """Push the next access unit into `source`, or end the stream."""
        units = self.recording.units
        round_number, index = divmod(self.next, len(units))
        if round_number and self.once:
            source.emit("end-of-stream")
            return
        pts, dts, data = units[index]
        offset = round_number * self.recording.duration_ns
        buffer = Gst.Buffer.new_wrapped(data)
        # Time 0 stays 0: the server would announce a start at "npt=1e-06", which readers take for 1 second.
        buffer.pts = int((pts + offset) / self.speed) + (ROUNDING_NS if pts + offset else 0)
        # GStreamer has no negative times: the first units of a recording with B-frames go out at once.
        buffer.dts = int(max(0, dts + offset) / self.speed)
        buffer.duration = Gst.CLOCK_TIME_NONE
        self.next += 1
        source.emit("push-buffer", buffer)


class RecordingFactory(GstRtspServer.RTSPMediaFactory):
    """Makes one pipeline and one playback a client."""

    def __init__(self, recording: Recording, once: bool, speed: float) -> None:
        super().__init__()
        self.recording = recording
        self.once = once
        self.speed = speed
        self.set_launch(f"( {recording.pipeline()} )")

    def do_configure(self, media: GstRtspServer.RTSPMedia) -> None:
        """Called by the server for each new client's pipeline."""
        source = media.get_element().get_by_name_recurse_up("source")
        playback = Playback(self.recording, self.once, self.speed)
        source.connect("need-data", playback.need_data)


def protect(server: GstRtspServer.RTSPServer, user: str, password: str, digest: bool) -> None:
    """Ask for a name and a password before anything is described or played.

    The library could offer both methods at once; its Python binding takes one.
    """
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", ROLE)
    if digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)


def add_mount(
    server: GstRtspServer.RTSPServer, name: str, factory: GstRtspServer.RTSPMediaFactory, guarded: bool
) -> None:
    """Serve `factory` at /`name`, each client with a pipeline of its own."""
    factory.set_shared(False)
    factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP)
    if guarded:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role(ROLE, "media.factory.access", True)
        permissions.add_permission_for_role(ROLE, "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory(f"/{name}", factory)


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends: a killed test leaves no server behind."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended while we asked
        sys.exit(1)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Serve recorded access units over RTSP on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 lets the kernel choose")
    parser.add_argument("--mount", action="append", default=[], metavar="NAME=FILE.aus")
    parser.add_argument("--audio-only", action="append", default=[], metavar="NAME", help="sound, no picture")
    parser.add_argument("--once", action="store_true", help="end each playback after one round")
    parser.add_argument("--speed", type=float, default=1.0, help="2 plays twice as fast")
    parser.add_argument("--user", help="ask for this user name")
    parser.add_argument("--password-file", type=Path, help="file with the user's password")
    parser.add_argument("--digest", action="store_true", help="digest instead of basic authentication")
    arguments = parser.parse_args()
    if not arguments.mount and not arguments.audio_only:
        parser.error("nothing to serve: give --mount NAME=FILE.aus or --audio-only NAME")
    if (arguments.user is None) != (arguments.password_file is None):
        parser.error("--user and --password-file belong together")
    if arguments.speed <= 0:
        parser.error("--speed must be above 0")
    return arguments


def build_server(arguments: argparse.Namespace) -> tuple[GstRtspServer.RTSPServer, list[str]]:
    """The server with its mounts, not yet listening, and the mounts' names."""
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    guarded = arguments.user is not None
    if guarded:
        password = arguments.password_file.read_text().rstrip("\r\n")
        protect(server, arguments.user, password, arguments.digest)
    names = []
    for mount in arguments.mount:
        name, separator, path = mount.partition("=")
        if not separator:
            raise ValueError(f"--mount {mount}: expected NAME=FILE.aus")
        recording = Recording(Path(path))
        add_mount(server, name, RecordingFactory(recording, arguments.once, arguments.speed), guarded)
        names.append(name)
    for name in arguments.audio_only:
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {AUDIO_PIPELINE} )")
        add_mount(server, name, factory, guarded)
        names.append(name)
    return server, names


def main() -> int:
    """Serve until SIGTERM, SIGINT or the parent's end."""
    arguments = parse_arguments()
    die_with_parent()
    Gst.init(None)
    try:
        server, names = build_server(arguments)
    except (OSError, ValueError, KeyError, struct.error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if server.attach(None) == 0:
        print(f"error: 127.0.0.1:{arguments.port} can't be bound: is the port taken?", file=sys.stderr)
        return 1
    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)

    def forget_dead_sessions() -> bool:
        server.get_session_pool().cleanup()
        return True

    GLib.timeout_add_seconds(5, forget_dead_sessions)
    print(json.dumps({"port": server.get_bound_port(), "mounts": names}), flush=True)
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
