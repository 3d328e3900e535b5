"""The boards of tests/fixtures/boards, and the profile that each must be given."""

from __future__ import annotations

from tests.conftest import ROOT

BOARDS = ROOT / "tests" / "fixtures" / "boards"

KNOWN = {
    "generic-x86-64": "generic-x86-64",
    "generic-x86-64-old-kernel": "generic-x86-64",
    "intel-igpu": "intel-igpu",
    "jetson-nano": "jetson-nano",
    "jetson-orin-agx": "jetson-orin-agx",
    "jetson-orin-nano": "jetson-orin-nano",
    "jetson-orin-nano-mainline": "jetson-orin-nano",
    "jetson-orin-nx": "jetson-orin-nx",
    "jetson-xavier-nx": "jetson-xavier-nx",
    "rk3399": "rk3399",
    "rk3566": "rk3566",
    "rk3568": "rk3568",
    "rk3588": "rk3588",
    "rk3588s-vendor": "rk3588",
    "rpi-cm4": "rpi4",
    "rpi3bplus": "rpi3bplus",
    "rpi4": "rpi4",
    "rpi5": "rpi5",
    "rpi5-hailo": "rpi5-hailo",
    "thinkedge-se70": "jetson-xavier-nx",
}
# Relatives of known boards among them: each gets the generic profile of its machine, and a warning.
UNKNOWN = {
    "agx-xavier": "generic-aarch64",
    "beaglebone": "generic-armv7",
    "graviton": "generic-aarch64",
    "jetson-tx1": "generic-aarch64",
    "odroid-n2": "generic-aarch64",
    "qemu-virt": "generic-aarch64",
    "rk3328": "generic-aarch64",
    "rpi3b": "generic-aarch64",
    "rpi4-32bit": "generic-armv7",
    "visionfive2": "generic",
}
