"""Shipped profiles hold facts with sources; those of the site replace, extend, and are refused in words."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

import agent
from agent.device.library import BUILT_IN, Library
from agent.device.profile import Facts, Profile
from runtime.errors import Code, EdgewardError
from tests.conftest import ROOT

pytestmark = pytest.mark.unit

NAMES = sorted(path.stem for path in BUILT_IN.glob("*.toml"))
LISTED = {
    "jetson-orin-nano", "jetson-orin-nx", "jetson-orin-agx", "jetson-xavier-nx", "jetson-nano", "rpi3bplus",
    "rpi4", "rpi5", "rpi5-hailo", "rk3399", "rk3588", "rk3566", "rk3568", "generic-aarch64", "generic-armv7",
    "generic-x86-64", "intel-igpu",
}  # fmt: skip


def library(site: Path | None = None) -> Library:
    return Library(site or Path("/nonexistent"))


def tables(value: Any) -> list[Facts]:
    found = [value] if isinstance(value, Facts) else []
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            found += tables(getattr(value, field.name))
    elif isinstance(value, tuple):
        for inner in value:
            found += tables(inner)
    return found


def test_every_board_of_the_list_has_a_profile() -> None:
    assert set(NAMES) >= LISTED
    assert set(library().names) == set(NAMES), "a file is named after its profile"


@pytest.mark.parametrize("name", NAMES)
def test_every_table_of_facts_names_a_public_source_or_says_that_it_is_a_choice(name: str) -> None:
    every = tables(library().get(name))
    assert every
    for table in every:
        for source in table.source:
            public = re.match(r"https://\S+( \(.*\))?\Z", source)
            choice = re.match(r"(none|\w+): a choice of edgeward's", source)
            ours = (ROOT / source).exists()
            assert public or choice or ours, f"{name}: {source}"


@pytest.mark.parametrize("name", NAMES)
def test_what_a_profile_says_fits_together(name: str) -> None:
    profile = library().get(name)
    cpus = [cpu for cluster in profile.clusters for cpu in cluster.cpus]
    assert len(set(cpus)) == len(cpus), "a CPU is in one cluster only"
    assert set(profile.inference_cpus) <= set(cpus)
    if profile.inference_cpus:
        big = {cpu for cluster in profile.clusters if cluster.kind == "big" for cpu in cluster.cpus}
        assert set(profile.inference_cpus) == big, "inference runs on the big cores"
    assert len({decoder.codec for decoder in profile.decoder}) == len(profile.decoder)
    engines = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["edgeward.engines"]
    )
    if profile.engines:
        assert set(profile.engines.order) <= engines
        assert profile.engines.providers.keys() == set(profile.engines.order)
    for accelerator in profile.accelerator:
        assert accelerator.engine in engines | {""}
        assert bool(accelerator.engine) == (accelerator.use != "none")
    for size in profile.memory.sizes_mb:
        assert profile.headroom_mb < size / 2, "something is left for edgeward"


def test_the_limits_that_everybody_asks_for_are_told() -> None:
    every = library()
    assert any("no NPU" in text for text in every.get("rk3399").limits)
    assert not [item for item in every.get("rk3399").accelerator if item.kind == "npu"]
    decoders = {(name, item.codec): item.hardware for name in every.names for item in every.get(name).decoder}
    assert decoders["rpi5", "h264"] == "none"
    assert decoders["rpi5", "h265"] != "none"
    assert decoders["rpi3bplus", "h265"] == "none"
    assert any("JetPack 4" in text for text in every.get("jetson-nano").limits)
    assert any("numpy" in text for text in every.get("generic-armv7").limits)


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_a_site_changes_one_key_of_a_shipped_profile(tmp_path: Path) -> None:
    site = write(tmp_path / "p", 'name = "rpi4"\nextends = "rpi4"\n[thermal]\nwarn_c = 65.0\n')
    changed, shipped = library(site).get("rpi4"), library().get("rpi4")
    assert changed.thermal is not None
    assert shipped.thermal is not None
    assert changed.thermal == msgspec.structs.replace(shipped.thermal, warn_c=65.0)
    assert changed.detect == shipped.detect
    assert library(site).is_of_site("rpi4")
    assert not library(site).is_of_site("rpi5")


def test_without_extends_it_replaces_the_whole(tmp_path: Path) -> None:
    text = 'name = "rpi4"\ntitle = "ours"\narch = "aarch64"\n[memory]\nheadroom_mb = 100\nsource = ["us"]\n'
    profile = library(write(tmp_path / "p", text)).get("rpi4")
    assert profile.title == "ours"
    assert profile.thermal is None


def test_a_board_of_the_site_that_extends_another_is_not_taken_for_that_other(tmp_path: Path) -> None:
    text = (
        'name = "acme-box"\ntitle = "Acme Box"\nextends = "rk3588"\n'
        '[detect]\ncompatible = ["acme,box"]\nsource = ["our own"]\n'
    )
    every = library(write(tmp_path / "p", text))
    box, rk3588 = every.get("acme-box"), every.get("rk3588")
    assert box.detect is not None
    assert box.detect.compatible == ("acme,box",)
    assert (box.cpu, box.thermal) == (rk3588.cpu, rk3588.thermal)
    plain = 'name = "acme-box"\nextends = "rk3588"\n'
    assert library(write(tmp_path / "q", plain)).get("acme-box").detect is None


BAD = {
    "no TOML": ("name = ", Code.CONFIG_SYNTAX, "mine.toml", "not valid TOML"),
    "no name": ('title = "x"\n', Code.CONFIG_VALUE, "mine.toml: name", "expected the name"),
    "an unknown key": (
        'name = "rpi4"\nextends = "rpi4"\n[thermal]\nwarm_c = 1.0\n',
        Code.CONFIG_UNKNOWN_KEY,
        "mine.toml: thermal.warm_c",
        "unknown key",
    ),
    "a wrong type": (
        'name = "rpi4"\nextends = "rpi4"\n[cpu]\ninference = ["a"]\n',
        Code.CONFIG_VALUE,
        "mine.toml: cpu.inference[0]",
        "expected 'int', got 'str'",
    ),
    "a missing key": (
        'name = "x"\ntitle = "x"\n',
        Code.CONFIG_VALUE,
        "mine.toml: arch",
        "required and missing",
    ),
    "facts without a source": (
        'name = "x"\ntitle = "x"\narch = "any"\n[memory]\nheadroom_mb = 99\n',
        Code.CONFIG_VALUE,
        "mine.toml: memory.source",
        "required and missing",
    ),
    "a base that is not there": (
        'name = "x"\nextends = "y"\n',
        Code.CONFIG_VALUE,
        "mine.toml: extends",
        "no profile 'y' to extend",
    ),
    "one that extends itself": (
        'name = "x"\nextends = "x"\n',
        Code.CONFIG_VALUE,
        "mine.toml: extends",
        "no profile 'x' to extend",
    ),
    "a base that is no text": (
        'name = "x"\nextends = 3\n',
        Code.CONFIG_VALUE,
        "mine.toml: extends",
        "the name of",
    ),
    "a warning over the limit": (
        'name = "rpi4"\nextends = "rpi4"\n[thermal]\nwarn_c = 90.0\n',
        Code.CONFIG_VALUE,
        "mine.toml: thermal.warn_c",
        "less than limit_c",
    ),
    "a CPU twice": (
        'name = "rk3588"\nextends = "rk3588"\n[[cpu.cluster]]\nkind = "big"\ncore = "x"\ncpus = [1, 1]\n',
        Code.CONFIG_VALUE,
        "mine.toml: cpu.cluster[0].cpus",
        "twice",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_profile_is_refused_with_file_and_key(what: str, tmp_path: Path) -> None:
    text, code, where, says = BAD[what]
    with pytest.raises(EdgewardError) as refused:
        library(write(tmp_path / "p", text)).all()
    assert refused.value.code is code
    assert refused.value.where.endswith(where)
    assert says in refused.value.what


def test_two_files_of_one_name_and_two_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    site = write(tmp_path / "p", 'name = "x"\n', "a.toml")
    write(site, 'name = "x"\n', "b.toml")
    with pytest.raises(EdgewardError, match=r"stands in .*a\.toml too"):
        library(site)
    ring = write(tmp_path / "q", 'name = "x"\nextends = "y"\n', "a.toml")
    write(ring, 'name = "y"\nextends = "x"\n', "b.toml")
    with pytest.raises(EdgewardError, match="extends itself"):
        library(ring).all()


def test_a_file_that_is_no_text_or_endless_is_refused(tmp_path: Path) -> None:
    site = tmp_path / "p"
    site.mkdir()
    (site / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(EdgewardError, match="byte 0 is not UTF-8"):
        library(site)
    (site / "a.toml").write_bytes(b"#" * 70_000)
    with pytest.raises(EdgewardError, match="longer than"):
        library(site)


def test_the_reference_page_lists_every_key_and_every_profile() -> None:
    page = (ROOT / "docs" / "ref" / "profiles.md").read_text()
    missing = [
        field.name
        for struct in [Profile, *Facts.__subclasses__()]
        for field in msgspec.structs.fields(struct)
        if f"`{field.name}`" not in page
    ]
    assert not missing
    assert [name for name in NAMES if f"`{name}`" not in page] == []


def test_the_wheel_takes_the_profiles_along_beside_the_agent_that_reads_them() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["scikit-build"]
    assert {"agent", "device_profiles"} <= set(build["wheel"]["packages"])
    assert (BUILT_IN / "__init__.py").exists()
    assert BUILT_IN.parent == Path(agent.__file__).resolve().parent.parent
