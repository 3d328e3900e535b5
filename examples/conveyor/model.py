"""A small anchor-free detector (PyTorch): 384x224 pictures, three strides, a YOLOX head.

Input [n, 3, 224, 384] RGB, 0..1. Output [n, 1764, 9], rows by stride 8, 16, 32 and within one row by row:
x, y (box centre = (o + grid) * stride), log w, log h (size = exp(o) * stride), objectness, four class
scores. Training works on the raw scores, `Exported` puts the sigmoid behind them.

The design follows published ones: feature pyramid (Lin et al. 2017, arXiv:1612.03144), decoupled
anchor-free head (YOLOX, Ge et al. 2021, arXiv:2107.08430), depthwise separable convolutions where maps are
large (MobileNet, Howard et al. 2017, arXiv:1704.04861).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from examples.conveyor.truth import LABELS

STRIDES = (8, 16, 32)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def separable(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """A spatial filter for each channel, then a mix of channels."""
    return nn.Sequential(conv(inputs, inputs, kernel, stride, groups=inputs), conv(inputs, outputs, 1))


class Bottleneck(nn.Module):
    """Residual block: narrow, look around, add."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels // 2, 1), conv(channels // 2, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] to the same."""
        return x + self.body(x)


class Head(nn.Module):
    """Box, objectness and class for each place of one map: nine values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shared = separable(channels, channels)
        self.box = separable(channels, channels)
        self.kind = separable(channels, channels)
        self.box_out = nn.Conv2d(channels, 5, 1)
        self.kind_out = nn.Conv2d(channels, len(LABELS), 1)
        # Parts are rare: start from 1 %.
        prior = -math.log(99.0)
        nn.init.constant_(self.kind_out.bias, prior)  # type: ignore[arg-type]
        with torch.no_grad():
            self.box_out.bias.copy_(torch.tensor([0.5, 0.5, 1.0, 1.0, prior]))  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] to [n, 9, h, w]."""
        x = self.shared(x)
        return torch.cat([self.box_out(self.box(x)), self.kind_out(self.kind(x))], dim=1)


class Detector(nn.Module):
    """The network."""

    def __init__(self) -> None:
        super().__init__()
        self.to_8 = nn.Sequential(
            conv(3, 16, stride=2),
            conv(16, 24, stride=2),
            conv(24, 48, stride=2),
            Bottleneck(48),
            Bottleneck(48),
        )
        self.to_16 = nn.Sequential(conv(48, 80, stride=2), Bottleneck(80), Bottleneck(80))
        self.to_32 = nn.Sequential(separable(80, 96, stride=2), Bottleneck(96))
        self.side_32 = conv(96, 64, 1)
        self.side_16 = conv(80, 64, 1)
        self.side_8 = conv(48, 64, 1)
        self.join_16 = separable(64, 64, kernel=5)
        self.join_8 = separable(64, 64, kernel=5)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.heads = nn.ModuleList([Head(64) for _ in STRIDES])

    def forward(self, images: Tensor) -> list[Tensor]:
        """Raw maps [n, 9, h, w], by stride."""
        at_8 = self.to_8(images)
        at_16 = self.to_16(at_8)
        top = self.side_32(self.to_32(at_16))
        middle = self.join_16(self.side_16(at_16) + self.up(top))
        bottom = self.join_8(self.side_8(at_8) + self.up(middle))
        return [head(x) for head, x in zip(self.heads, (bottom, middle, top), strict=True)]


def as_rows(maps: list[Tensor]) -> Tensor:
    """Maps by stride to rows [n, places, 9]."""
    return torch.cat([level.flatten(2) for level in maps], dim=2).transpose(1, 2)


class Exported(nn.Module):
    """The detector as the runtime's YOLOX decoder wants it: scores behind a sigmoid."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        """[1, 3, 224, 384] to [1, 1764, 9]."""
        rows = as_rows(self.detector(images))
        return torch.cat([rows[..., :4], rows[..., 4:].sigmoid()], dim=-1)
