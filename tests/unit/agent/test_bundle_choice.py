"""Which bundle runs: the configured one, an operator's, or the one that ran well before."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from agent import config_file
from agent.trust import floors
from agent.trust.device import DeviceTrust
from agent.trust.ingest import Stored
from agent.workers.bundle_choice import BundleChoice, known
from agent.workers.bundle_record import MOST_QUARANTINED, BundleRecords, Known, Record
from agent.workers.bundle_supply import BundleSupply
from agent.workers.reason import Reason
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

CRASH = Reason("worker.died", "killed by SIGSEGV")


def bundle(number: int, name: str = "belt") -> Known:
    return Known(digest=f"{number:064x}", name=name, version=f"{number}.0.0", release_counter=number)


def ingested(number: int, folder: Path) -> Ingested:
    return Ingested(
        name="belt",
        version=f"{number}.0.0",
        release_counter=number,
        digest=f"{number:064x}",
        manifest_sha256="0" * 64,
        signed_by="",
        folder=str(folder),
        size=0,
        new=False,
    )


def test_what_ran_well_is_the_way_back_from_what_did_not() -> None:
    choice = BundleChoice(Record(pipeline="p"))
    assert choice.way_back("", bundle(1).digest) is None
    assert choice.ran_well("", bundle(1))
    assert not choice.ran_well("", bundle(1))
    choice.quarantine("", bundle(2), CRASH)
    assert choice.way_back("", bundle(2).digest) == bundle(1), "the second never ran well"
    assert choice.ran_well("", bundle(3))
    choice.quarantine("", bundle(3), CRASH)
    assert choice.way_back("", bundle(3).digest) == bundle(1)
    choice.quarantine("", bundle(1), CRASH)
    assert choice.way_back("", bundle(3).digest) is None
    assert [one.bundle for one in choice.release()] == [bundle(2), bundle(3), bundle(1)]
    assert choice.way_back("", bundle(2).digest) == bundle(3)


def test_another_variant_of_the_same_bundle_leaves_the_way_back_as_it_is() -> None:
    choice = BundleChoice(Record(pipeline="p"))
    choice.ran_well("", bundle(1))
    choice.ran_well("", bundle(2))
    again = Known(digest=bundle(2).digest, name="belt", version="2.0.0", release_counter=2, variant="int8")
    assert choice.ran_well("", again)
    assert choice.way_back("", again.digest) == bundle(1)


def test_the_stage_that_changed_last_is_under_suspicion_else_the_first() -> None:
    choice = BundleChoice(Record(pipeline="p"))
    assert choice.chosen({"": "a", "colour": "b", "plate": "c"})
    assert choice.suspect(["", "colour", "plate"]) == ""
    assert not choice.chosen({"": "a", "colour": "b", "plate": "c"})
    assert choice.chosen({"": "a", "colour": "d", "plate": "c"})
    assert choice.suspect(["", "colour", "plate"]) == "colour"
    assert choice.chosen({"": "e", "colour": "d", "plate": "c"})
    assert choice.suspect(["", "colour", "plate"]) == ""


def test_an_operators_bundle_holds_until_the_configured_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "belt.ewb"
    file.write_text("one")
    choice = BundleChoice(Record(pipeline="p"))
    choice.quarantine("", bundle(2), CRASH)
    choice.install("", file, bundle(2))
    installed = choice.installed("", file)
    assert installed is not None
    assert installed.bundle == bundle(2)
    assert choice.quarantined("", bundle(2).digest) is None, "installing it is trying it again"
    file.write_text("three")
    assert choice.installed("", file) is None


def test_a_record_is_bounded_and_comes_back_from_the_disk(tmp_path: Path) -> None:
    records = BundleRecords(tmp_path)
    choice = BundleChoice(records.read("p"))
    choice.ran_well("", bundle(1))
    choice.ran_well("", bundle(2))
    for number in range(3, 60):
        choice.quarantine("", bundle(number), CRASH)
    records.write(choice.record)
    again = records.read("p")
    assert again == choice.record
    assert len(again.stages[""].quarantined) == MOST_QUARANTINED
    assert (tmp_path / "pipelines" / "p.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"{"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text('{"pipeline": "other"}'),
        lambda path: path.write_text('{"pipeline": "p", "more": 1}'),
        lambda path: path.chmod(0o666),
    ],
)
def test_a_record_that_cannot_be_believed_opens_no_way_back(
    damage: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = BundleRecords(tmp_path)
    choice = BundleChoice(records.read("p"))
    choice.ran_well("", bundle(1))
    records.write(choice.record)
    path = tmp_path / "pipelines" / "p.json"
    damage(path)  # type: ignore[operator]
    assert records.read("p") == Record(pipeline="p")
    assert "believed" in caplog.text


class Desk:
    """A supply whose verifier is a table: what lies in the file, and what is stored."""

    def __init__(self, folder: Path, *, fall_back: bool = True) -> None:
        self.folder = folder
        self.file = folder / "belt.ewb"
        self.asked: list[tuple[str, bool]] = []
        self.refused: dict[str, Code] = {}
        text = f'[trust]\nrelease_keys = ["k.pub"]\n[device]\nstate_dir = "{folder}"\n'
        self.config = config_file.parse(text, where="edgeward.toml", folder=folder, to_run=False)
        self.fall_back = fall_back
        self.supply = self.fresh()

    def fresh(self) -> BundleSupply:
        return BundleSupply(
            "p",
            {"": self.file},
            self.verify,
            DeviceTrust(self.config),
            BundleRecords(self.folder),
            fall_back=self.fall_back,
        )

    def put(self, number: int) -> None:
        self.file.write_text(str(number))
        os.utime(self.file, ns=(number, number))

    async def verify(self, what: Path | Stored, *, below_floor: bool) -> Ingested:
        digest = what.digest if isinstance(what, Stored) else f"{int(what.read_text()):064x}"
        self.asked.append((digest.lstrip("0"), below_floor))
        if digest in self.refused:
            raise EdgewardError(self.refused[digest], "refused")
        return ingested(int(digest, 16), self.folder)

    def runs(self) -> str:
        return asyncio.run(self.supply.verified())[""].version


def test_only_what_ran_well_here_may_pass_below_the_floor(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.put(1)
    assert desk.runs() == "1.0.0"
    asyncio.run(desk.supply.ran_well({"": "cpu"}))
    desk.put(2)
    assert desk.runs() == "2.0.0"
    floors.raise_to(floors.path_in(tmp_path), "belt", 2, bundle(2).digest)
    asyncio.run(desk.supply.crash_looped(CRASH))
    assert desk.runs() == "1.0.0"
    assert desk.asked == [("1", False), ("2", False), ("2", False), ("1", True)]
    # It runs, and the floor neither rises to it nor refuses it.
    assert asyncio.run(desk.supply.commit()) is None
    assert "runs in its place" in desk.supply.quarantine[""].text
    # Another start of the agent knows all that.
    desk.supply = desk.fresh()
    assert desk.runs() == "1.0.0"
    assert desk.supply.choice.stage("").current == known(ingested(1, tmp_path), "cpu")


def test_without_a_way_back_nothing_runs_and_the_error_says_why(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.put(1)
    desk.runs()
    asyncio.run(desk.supply.crash_looped(CRASH))
    with pytest.raises(EdgewardError) as caught:
        desk.runs()
    assert caught.value.code is Code.BUNDLE_QUARANTINED
    assert "killed by SIGSEGV; no other one has run well here" in caught.value.what
    assert [str(one.bundle) for one in asyncio.run(desk.supply.release())] == ["belt 1.0.0"]
    assert desk.runs() == "1.0.0"


@pytest.mark.parametrize(("fall_back", "says"), [(False, "fall_back is off"), (True, "cannot run either")])
def test_a_way_back_that_is_barred_is_named(tmp_path: Path, fall_back: bool, says: str) -> None:
    desk = Desk(tmp_path, fall_back=fall_back)
    desk.put(1)
    desk.runs()
    asyncio.run(desk.supply.ran_well({}))
    desk.put(2)
    desk.runs()
    asyncio.run(desk.supply.crash_looped(CRASH))
    desk.refused[bundle(1).digest] = Code.BUNDLE_UNTRUSTED_KEY
    with pytest.raises(EdgewardError, match=says) as caught:
        desk.runs()
    assert caught.value.code is Code.BUNDLE_QUARANTINED


def test_an_operator_goes_back_and_an_install_goes_forward(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in (1, 2):
        desk.put(number)
        desk.runs()
        asyncio.run(desk.supply.ran_well({}))
    assert asyncio.run(desk.supply.roll_back("")) == known(ingested(1, tmp_path))
    assert desk.runs() == "1.0.0"
    assert desk.asked[-1] == ("1", True)
    asyncio.run(desk.supply.install(ingested(3, tmp_path), ""))
    assert desk.runs() == "3.0.0"
    assert desk.asked[-1] == ("3", False), "an installed one is held to the floor like any other"
    with pytest.raises(EdgewardError, match="no stage 'x'"):
        asyncio.run(desk.supply.install(ingested(3, tmp_path), "x"))
    desk.put(4)
    assert desk.runs() == "4.0.0", "the configured file has changed: it is meant"


def test_a_change_that_cannot_be_kept_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    for number in (1, 2):
        desk.put(number)
        desk.runs()
        asyncio.run(desk.supply.ran_well({}))

    def full(_self: BundleRecords, _record: Record) -> None:
        raise EdgewardError(Code.SYSTEM_DISK_FULL, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(BundleRecords, "write", full)
        for change in (desk.supply.install(ingested(3, tmp_path), ""), desk.supply.roll_back("")):
            with pytest.raises(EdgewardError):
                asyncio.run(change)
    desk.supply.verify_anew()
    assert desk.runs() == "2.0.0"


def test_a_way_back_that_is_gone_leaves_what_runs_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in (1, 2):
        desk.put(number)
        desk.runs()
        asyncio.run(desk.supply.ran_well({}))
    desk.refused[bundle(1).digest] = Code.BUNDLE_MISSING
    with pytest.raises(EdgewardError) as caught:
        asyncio.run(desk.supply.roll_back(""))
    assert caught.value.code is Code.BUNDLE_MISSING
    desk.supply.verify_anew()
    assert desk.runs() == "2.0.0"


def test_when_the_suspect_was_the_wrong_one_the_next_is_the_one_that_still_runs_as_configured(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    crops = tmp_path / "crops.ewb"
    desk.supply = BundleSupply(
        "p",
        {"": desk.file, "colour": crops},
        desk.verify,
        DeviceTrust(desk.config),
        BundleRecords(tmp_path),
    )
    desk.put(1)
    crops.write_text("11")
    desk.runs()
    asyncio.run(desk.supply.ran_well({}))
    crops.write_text("12")
    desk.runs()
    assert asyncio.run(desk.supply.crash_looped(CRASH)).version == "12.0.0"
    desk.runs()
    assert desk.supply.bundles["colour"].version == "11.0.0"
    assert asyncio.run(desk.supply.crash_looped(CRASH)).version == "1.0.0"


def test_without_a_way_back_a_bundle_in_quarantine_is_tried_again_until_its_next_bad_end(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    desk.put(1)
    desk.runs()
    asyncio.run(desk.supply.crash_looped(CRASH))
    for _ in range(2):
        with pytest.raises(EdgewardError, match="no other one has run well"):
            desk.runs()
        desk.supply.try_again()
        assert desk.runs() == "1.0.0"
        assert desk.supply.tried == {""}
        assert "it is tried again" in desk.supply.quarantine[""].text
        asyncio.run(desk.supply.crash_looped(CRASH))
    desk.supply.try_again()
    desk.runs()
    assert [str(one.bundle) for one in asyncio.run(desk.supply.ran_well({}))] == ["belt 1.0.0"]
    assert (desk.supply.tried, desk.supply.quarantine) == (set(), {})
    # The trial was of that one: another bundle in its place is not on trial, nor is it let off later.
    asyncio.run(desk.supply.crash_looped(CRASH))
    desk.supply.try_again()
    desk.put(2)
    assert desk.runs() == "2.0.0"
    assert desk.supply.tried == set()
    asyncio.run(desk.supply.crash_looped(CRASH))
    with pytest.raises(EdgewardError):
        desk.runs()
