"""The reference page names every probe, in the words of the probe."""

from __future__ import annotations

import re

import pytest

from agent.doctor.probes import find_probes
from tests.conftest import ROOT

pytestmark = pytest.mark.unit

PAGE = ROOT / "docs" / "ref" / "doctor.md"


def test_the_page_names_every_probe_with_its_meaning_and_what_it_needs() -> None:
    table = PAGE.read_text().partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    told = {row[0].strip("| `"): (row[1], row[2].strip(" |")) for row in rows}
    needed = {probe.id: ", ".join(f"`{name}`" for name in probe.needs) or "-" for probe in find_probes()}
    assert told == {probe.id: (probe.meaning, needed[probe.id]) for probe in find_probes()}


def test_every_probe_has_a_paragraph_of_what_to_do() -> None:
    text = PAGE.read_text()
    for probe in find_probes():
        assert re.search(rf"^### {re.escape(probe.id)}$", text, re.MULTILINE), probe.id
