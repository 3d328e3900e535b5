"""Makes the seeds: ``python -m tests.fuzz.corpus.make``. The private keys are thrown away."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from runtime.bundle import signature
from runtime.bundle.container import Reader
from runtime.bundle.keys import public_pem
from runtime.bundle.pack import pack
from runtime.bundle.sign import sign_bundle
from runtime.errors import EdgewardError
from tests.fuzz import inference
from tests.fuzz.corpus import FOLDER
from tests.integration import real_models
from tests.integration.real_models import RealModel
from tests.unit.bundle import test_golden_manifest
from tests.unit.bundle.conftest import make_author

CURVES: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}


def _manifest(model: RealModel, work: Path) -> bytes | None:
    """The manifest of a real model's bundle, with other bytes as its model and few labels, if few will do."""
    name = model.file.split(".")[0].lower()
    for count in (1, 2, 80):
        author, bundle = work / f"{name}-{count}", work / f"{name}-{count}.ewb"
        author.mkdir()
        head = (
            f'[bundle]\nname = "{name}"\nversion = "1.0.0"\nrelease_counter = 1\nlabels_file = "labels.txt"\n'
        )
        (author / "bundle.toml").write_text(head + model.manifest.replace("FILE", model.file))
        (author / "labels.txt").write_text("".join(f"thing {number}\n" for number in range(count)))
        (author / model.file).write_bytes(b"a model of no use")
        for path, data in model.files.items():
            (author / path).write_bytes(data)
        try:
            pack(author, bundle)
        except EdgewardError as error:
            print(f"{model.file} with {count} labels: {error.what}")
            continue
        with bundle.open("rb") as stream:
            return Reader(stream, where=name).small_member("manifest.json", 1 << 20)
    return None


def main() -> int:
    """Write the corpus into its folder."""
    keys = {name: ec.generate_private_key(curve) for name, curve in CURVES.items()}
    for name in ("container", "signature", "manifest"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
        (FOLDER / name).mkdir()
    for name, key in keys.items():
        (FOLDER / f"{name}.pub").write_bytes(public_pem(key.public_key()))
        resources = {"manifest.json": "11" * 32, "model.onnx": hashlib.sha256(b"").hexdigest()}
        (FOLDER / "signature" / f"{name}.sig").write_bytes(signature.sign(resources, name=name, key=key))
    with tempfile.TemporaryDirectory() as work:
        for name, model in vars(real_models).items():
            if isinstance(model, RealModel) and (data := _manifest(model, Path(work))) is not None:
                (FOLDER / "manifest" / f"{name.lower()}.json").write_bytes(data)
        golden = test_golden_manifest.manifest()
        (FOLDER / "manifest" / "golden.json").write_text(json.dumps(golden, indent=1))
        author = make_author(Path(work) / "author", model=b"a model of no use")
        pack(author, Path(work) / "gate.ewb")
        for curve, key in keys.items():
            sign_bundle(Path(work) / "gate.ewb", key, out=FOLDER / "container" / f"gate-{curve}.ewb")
    for name in ("raw", "typed", "many"):
        data = getattr(inference, name)().SerializeToString()
        (FOLDER / "inference" / f"{name}.bin").write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
