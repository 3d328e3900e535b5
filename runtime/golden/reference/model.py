"""A variant of a bundle, looked at the slow way."""

from __future__ import annotations

from collections.abc import Callable

from runtime.bundle.check_model import resolved
from runtime.bundle.manifest import Manifest, Variant
from runtime.findings import Findings
from runtime.golden.reference import engines, outputs, picture
from runtime.golden.reference.about import About
from runtime.golden.reference.decoding import decode
from runtime.source.frame import Frame


class Reference:
    """One variant of a bundle, looked at the slow way.

    Args:
        manifest: of the bundle.
        variant: one of its variants, of an engine in ``engines.KNOWN``.
        read: gives the bytes of a file of the bundle.
        where: the bundle's name, for errors.

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE``, ``MODEL_LOAD``, ``MODEL_MISMATCH``.
    """

    def __init__(
        self, manifest: Manifest, variant: Variant, read: Callable[[str], bytes], *, where: str
    ) -> None:
        self._variant = variant
        self._pre = variant.preprocess or manifest.preprocess
        self._picture = next(spec for spec in variant.inputs if spec.feed == "picture")
        shape = resolved(self._picture, variant, batch=1)
        self._size: tuple[int, int] = picture.tensor_size(self._pre, shape, where=where)
        self._session = engines.load(variant, read, where=where)
        self._about = About(
            labels=manifest.labels,
            width=self._size[0],
            height=self._size[1],
            read=read,
            where=where,
        )
        self._post = variant.postprocess or manifest.postprocess

    def look(self, frame: Frame) -> Findings:
        """What the model finds in one picture; a state begins anew with each.

        Raises:
            EdgewardError: ``MODEL_RUN``, also for outputs that are not numbers.
        """
        bgr = picture.bgr(frame)
        pixels, place = picture.fitted(bgr, self._pre, *self._size)
        tensor = picture.normalised(pixels, self._pre, self._picture)
        fed = outputs.inputs(self._variant, tensor, place, (frame.picture.height, frame.picture.width))
        raw = self._session.run(fed)
        numbers = outputs.numbers(self._variant, raw, self._session.quantisation)
        return decode(self._post, numbers, place, self._about)
