"""``edgeward events``: what happened on this device, and what happens."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from agent.cli import device, number, output
from agent.cli.paint import TONES, Paint, moment

if TYPE_CHECKING:
    from agent.control import control_pb2 as pb

EXAMPLES = """\
examples:
  edgeward events
  edgeward events --follow
  edgeward events --follow --recent 0 --detections --pipeline line
  edgeward events --recent 1000 --json | jq 'select(.severity == "critical")'

Events are changes that a person may want to know of: a worker ended, a stream stalled, a configuration was
loaded. The agent keeps the last 1000 in memory; detections are not kept, they can be followed only. With
--json each is a document in a line of its own. A '?' behind a time: the clock was not synchronised.
"""


def add(subparsers: device.Actions) -> None:
    """Register the command."""
    parser = device.command(
        subparsers,
        "events",
        "what happened on this device, and what happens",
        EXAMPLES,
        description="List the last events of the running agent, or follow them.",
    )
    parser.add_argument("--follow", "-f", action="store_true", help="go on with those to come, until Ctrl-C")
    parser.add_argument(
        "--recent", type=number.lines, default=20, metavar="N", help="begin with the last N (default 20)"
    )
    parser.add_argument(
        "--detections", action="store_true", help="what the models find too, as it goes to the broker"
    )
    parser.add_argument(
        "--pipeline", default="", metavar="PIPELINE", help="events of this pipeline and its streams only"
    )
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """A line each."""
    device.print_each(
        options,
        lambda client: client.get_events(
            recent=options.recent,
            follow=options.follow,
            detections=options.detections,
            pipeline=options.pipeline,
        ),
        as_document=as_document,
        line=line,
    )
    return 0


def as_document(event: pb.Event) -> dict[str, Any]:
    """For ``--json``: detections are not a text within the text."""
    found = device.document(event)
    found["json"] = json.loads(event.json) if event.json else None
    return found


def line(event: pb.Event, paint: Paint) -> str:
    """One event; before it, how many were lost."""
    lost = f"... {event.lost} events were too fast to be shown\n" if event.lost else ""
    when = moment(event.time_ms) + ("" if event.time_ok else "?")
    tone = TONES.get(event.severity, "none")
    about = f"{event.subject}: " if event.subject else ""
    text = event.text or (found(event.json) if event.json else "")
    code = f" [{event.code}]" if event.code else ""
    remedy = f"; {event.remedy}" if event.remedy else ""
    what = output.plain(f"{about}{text}{remedy}{code}")
    severity = paint(f"{output.plain(event.severity):<8}", tone)
    return f"{lost}{when} {severity} {output.plain(event.kind):<20} {what}\n"


def found(text: str) -> str:
    """What a model found, in words: ``2 person, 1 car``, ``nothing``, or why it failed."""
    body = json.loads(text)
    if body.get("status") not in {None, "detections"}:
        return f"{body['status']}: {body.get('why', '')}"
    labels = Counter(item.get("label", "?") for item in body.get("detections", ()))
    words = [f"{count} {label}" for label, count in labels.items()]
    words += [f"{item.get('label', '?')} {item.get('score', 0):.2f}" for item in body.get("classes", ())]
    others = ("segmentation", "embedding", "tensors")
    words += [name for name in others if body.get(name)]
    return ", ".join(words) or "nothing"
