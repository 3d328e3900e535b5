"""``python -m runtime.selftest``: a task as JSON on stdin, the answer as the last line of stdout.

A process of its own: whoever asks loads no vision library, and lives when a decoder crashes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from runtime.errors import EdgewardError
from runtime.selftest import decode, kernels, source

TASKS = {"decode": decode.run, "source": source.run, "native": kernels.run}


def main() -> int:
    """Read the task, do it, say what came of it; a task that fails is an answer too."""
    task: dict[str, Any] = json.load(sys.stdin)
    try:
        answer = TASKS[task["task"]](task)
    except EdgewardError as error:
        answer = {"error": error.as_dict()}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
