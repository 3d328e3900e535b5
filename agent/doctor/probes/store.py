"""Are the stored bundles still what was verified?"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from agent.doctor.finding import Finding, chain, ok, quoted, skip
from agent.doctor.site import Site
from runtime.bundle.manifest import Manifest
from runtime.errors import Code

MEANING = "every file of every stored bundle has the digest that its manifest names"
NEEDS = ("configuration",)
AFTER = ("bundles",)
TIMEOUT_S = 600.0
HEAVY = True
_MANIFEST = "manifest.json"


def probe(site: Site) -> list[Finding]:
    """Reads all of the store once."""
    folder = site.state_dir / "bundles"
    try:
        stored = sorted(path for path in folder.iterdir() if path.is_dir() and len(path.name) == 64)
    except FileNotFoundError:
        return [skip("nothing is stored yet", subject=str(folder))]
    verified = {bundle.digest: bundle.manifest_sha256 for bundle in site.bundles.values()}
    return [_one(path, verified.get(path.name)) for path in stored] or [skip("nothing is stored yet")]


def _one(folder: Path, manifest_sha256: str | None) -> Finding:
    subject = folder.name[:12]
    try:
        data = (folder / _MANIFEST).read_bytes()
        if manifest_sha256 not in {None, hashlib.sha256(data).hexdigest()}:
            return _damaged(folder, f"{_MANIFEST} is not what was signed")
        manifest = msgspec.json.decode(data, type=Manifest)
        for entry in manifest.files:
            with (folder / entry.path).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                    return _damaged(folder, f"{entry.path} is not what was signed")
    except FileNotFoundError as error:
        return _damaged(folder, f"{Path(str(error.filename)).name} is missing")
    except msgspec.MsgspecError:
        return _damaged(folder, f"{_MANIFEST} cannot be read")
    return ok(f"{manifest.name} {manifest.version}, {len(manifest.files)} files unchanged", subject=subject)


def _damaged(folder: Path, what: str) -> Finding:
    return Finding(
        result="fail",
        text=f"damaged in the store: {what}",
        subject=folder.name[:12],
        code=Code.BUNDLE_DIGEST.text,
        remedy="take it out; the agent stores it anew from the bundle file; if it comes back, test the disk",
        command=chain([quoted("sudo", "rm", "-r", folder), "sudo systemctl restart edgeward"]),
    )
