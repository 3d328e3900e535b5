"""Figures of script/bench: medians of interleaved rounds, peers that do the same, a page that says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from bench import main, page
from bench.measure import Ratio, interleave
from bench.models import MODELS
from bench.opencv_way import WAYS
from bench.peers.job import Spent
from bench.pipeline import PEERS, _share

pytestmark = pytest.mark.unit


def test_contenders_are_measured_in_turns_and_behind_each_other() -> None:
    called: list[str] = []
    names = ["a", "b", "c"]
    interleave({name: lambda name=name: called.append(name) or 1.0 for name in names}, 30)
    rounds = [called[at : at + 3] for at in range(0, len(called), 3)]
    assert all(sorted(each) == names for each in rounds)
    assert len({tuple(each) for each in rounds}) == 6, "every order occurs"


def test_the_first_round_is_thrown_away() -> None:
    called: list[str] = []

    def contender(name: str, takes: float) -> float:
        called.append(name)
        return takes

    rounds = interleave({"a": lambda: contender("a", 2.0), "b": lambda: contender("b", 1.0)}, 2)
    assert len(called) == 6
    assert rounds.seconds == {"a": [2.0, 2.0], "b": [1.0, 1.0]}
    assert rounds.ratio("a", "b") == Ratio(2.0, 2.0, 2.0)


def test_a_ratio_is_a_median_with_its_10th_and_90th_percentile() -> None:
    assert Ratio.of([float(value) for value in range(20, -1, -1)]) == Ratio(10.0, 2.0, 18.0)


def test_own_share_is_what_is_neither_decode_nor_engine() -> None:
    first = {"decode": 1.0, "infer": 1.0, "publish": 0.0, "process": 3.0}
    last = {"decode": 2.0, "infer": 3.0, "publish": 0.1, "process": 6.2}
    total, share = _share(first, last, 100)
    assert total == pytest.approx(3.2)
    assert share.own == pytest.approx(0.2 / 3.2)
    assert share.cpu_ms == pytest.approx({"decode": 10.0, "infer": 20.0, "publish": 1.0, "other": 1.0})


def test_a_peer_pays_for_its_child_too() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(1, flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=-1, stdout=-1) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        spent = Spent(child.pid)
        child.stdout.readline()
        with_child = spent.seconds()
        child.stdin.close()
    assert with_child > 0.2


def test_the_scripts_decode_of_fastestdet_finds_what_edgewards_does() -> None:
    import native  # noqa: PLC0415 - the only test here that needs it

    generator = np.random.default_rng(3)
    output = generator.normal(-2, 1, (1, 85, 22, 22)).astype(np.float32)
    # Nothing near the edges: edgeward clips boxes to the picture, the script leaves them as they are.
    output[:, 3:5] = generator.uniform(-4, -2, (1, 2, 22, 22))
    output[:, 0] = 0
    output[:, 0, 3:-3, 3:-3] = generator.beta(0.6, 1, (1, 16, 16))
    output[:, 5:] = generator.beta(0.1, 2, (1, 80, 22, 22))
    boxes, scores, classes = WAYS["fastestdet"]().detections(output, 1920, 1080)
    found, _, _ = native.decode_fastestdet(
        output, unit_x=352.0, unit_y=352.0, score_threshold=0.65, iou_threshold=0.45, scale_x=352 / 1920,
        scale_y=352 / 1080, frame_width=1920, frame_height=1080,
    )  # fmt: skip
    assert 20 < len(found) == len(boxes)
    order = np.argsort(-scores, kind="stable")
    np.testing.assert_allclose(found[:, 4], scores[order], atol=1e-4)
    np.testing.assert_array_equal(found[:, 5], classes[order])
    seen = np.clip(boxes[order], 0, [1920, 1080, 1920, 1080])
    np.testing.assert_allclose(found[:, :4], seen, atol=0.05)


def document() -> dict[str, object]:
    """Figures as a whole run has them."""
    ratio = {"median": 1.05, "low": 1.01, "high": 1.1}
    columns = [f"{codec}_{model}" for codec in ("h264", "h265") for model in MODELS]
    names = [f"{key}_{size}" for key in page.KERNELS for size in (416, 640)]
    names += [f"postprocess_vs_numpy_{rows}" for rows in (3549, 8400)]
    names += [f"{key}_{column}" for key in ("own_share", "pipeline_vs_floor") for column in columns]
    for peer in PEERS:
        names += [
            f"{key}_{peer}_{column}" for key in ("pipeline_vs_peer", "peer_vs_floor") for column in columns
        ]
    cpu_ms = [f"preprocess native {size}" for size in (416, 640)]
    cpu_ms += [f"postprocess native {rows}" for rows in (3549, 8400)]
    cpu_ms += [
        f"pipeline {who} {column.replace('_', ' ', 1)}" for who in ("edgeward", "floor") for column in columns
    ]
    return {
        "date": "2026-01-02",
        "machine": {"cpu": "A CPU (R) 3000", "cpus": 2, "arch": "x86_64", "python": "3.11.7"},
        "versions": {"av": "18.1.0"},
        "rounds": 15,
        "frames": 75,
        "ratios": dict.fromkeys(names, ratio),
        "cpu_ms": dict.fromkeys(cpu_ms, 12.3),
        "left_out": {"openvino": "it is not installed"},
    }


def test_the_page_has_every_ratio_of_a_whole_run_with_date_and_machine() -> None:
    whole = document()
    text = page.render(whole)
    ratios = whole["ratios"]
    assert isinstance(ratios, dict)
    shares = sum(name.startswith("own_share") for name in ratios)
    assert text.count("105.0 % (101.0 to 110.0)") == shares == 4
    assert text.count("1.05 (1.01 to 1.10)") == len(ratios) - shares
    for expected in (
        "2026-01-02",
        "A CPU (R) 3000",
        "av 18.1.0",
        "15 rounds",
        "75 frames",
        "it is not installed",
    ):
        assert expected in text
    assert "| - |" not in text


def test_the_figures_are_kept_under_their_date_and_machine() -> None:
    assert main._result_file(document()).name == "2026-01-02-a-cpu-r-3000-2-cores.json"


def test_the_page_is_made_from_the_newest_figures() -> None:
    figures = json.loads(page.newest().read_text())
    assert page.PAGE.read_text() == page.render(figures), "run: python -m bench.page > docs/benchmarks.md"


@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_says_why_it_cannot_run_where_it_cannot(peer: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", PEERS[peer], "--ready"], capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": "/nowhere"},
    )  # fmt: skip
    assert done.returncode == 0 or done.stderr.strip()


def test_the_page_tells_the_footprint_beside_its_aims() -> None:
    figures = {
        f"{who}_{key}": value
        for who in ("agent", "floor")
        for key, value in (
            ("pss_mb", 31.5),
            ("own_mb", 30.1),
            ("cpu_pct", 0.21),
            ("ready_s", 0.43),
            ("threads", 8),
        )
    }
    machine = {"cpu": "any", "arch": "any", "python": "3.11"}
    document = {"date": "2026-01-01", "machine": machine, "ratios": {}, "cpu_ms": {}}
    text = page.render(document | {"footprint": {"seconds": 300, **figures}})
    assert "Over 300 s." in text
    assert "| memory, proportional, MB | 31.5 | 31.5 | 40 |" in text
    assert "The agent itself" not in page.render(document)
