"""Train the detector from scratch on rendered frames and export it to ONNX.

    python -m examples.conveyor.train --out conveyor.onnx --cache training.npz

Needs examples/conveyor/requirements-train.txt. Seeds are fixed; on another machine or with another number
of threads sums are rounded differently, so that the weights are like these but not the same.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from examples.conveyor.dataset import INPUT, PAD, Dataset, Image, Rows, training_set
from examples.conveyor.model import STRIDES, Detector, Exported, as_rows
from examples.conveyor.shapes import Rng
from examples.conveyor.truth import LABELS

SEED = 20260801
# Which box sizes (longer side, input pixels) each stride learns; between two ranges both do.
SIZES = {8: (0.0, 42.0), 16: (30.0, 1e9), 32: (64.0, 1e9)}
CENTRE = 1.5  # how far from a box's centre a place may be to answer for it, in strides


def augmented(image: Image, rows: Rows, rng: Rng) -> tuple[Image, Rows]:
    """Mirror, scale, move and relight one picture; rows follow."""
    rows = rows.copy()
    width, height = INPUT
    if rng.random() < 0.5:
        image = image[:, ::-1]
        rows[:, [0, 2]] = width - rows[:, [2, 0]]
    if rng.random() < 0.5:
        image = image[::-1]
        rows[:, [1, 3]] = height - rows[:, [3, 1]]
    image = np.ascontiguousarray(image)
    if rng.random() < 0.5:
        zoom = rng.uniform(0.85, 1.15)
        x, y = rng.uniform(-0.08, 0.08, 2) * INPUT + np.array(INPUT) * (1 - zoom) / 2
        matrix = np.array([[zoom, 0, x], [0, zoom, y]], np.float32)
        image = np.asarray(cv2.warpAffine(image, matrix, INPUT, borderValue=(PAD, PAD, PAD)), dtype=np.uint8)
        rows[:, :4] = rows[:, :4] * zoom + np.array([x, y, x, y], np.float32)
        whole = (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])
        rows[:, :4] = np.clip(rows[:, :4], 0, [width, height, width, height])
        left = (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])
        rows[left < 0.6 * whole, 4] = -1
        rows = rows[left > 0]
    if rng.random() < 0.8:
        levels = np.arange(256, dtype=np.float32)[None, :, None] / 255
        gains = rng.uniform(0.8, 1.25) * rng.uniform(0.94, 1.06, 3)
        curve = levels ** rng.uniform(0.75, 1.3) * gains * 255 + rng.uniform(-10, 10)
        image = np.asarray(cv2.LUT(image, np.clip(curve, 0, 255).astype(np.uint8)), dtype=np.uint8)
    if rng.random() < 0.15:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.8)), dtype=np.uint8)
    if rng.random() < 0.3:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(1, 6)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image, rows


Batch = tuple[Tensor, list[Rows]]


def ahead(source: Iterator[Batch], depth: int = 4) -> Iterator[Batch]:
    """The same batches, made by a thread while the network learns from those before."""
    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(next, source, None) for _ in range(depth))
        while (batch := pending.popleft().result()) is not None:
            pending.append(pool.submit(next, source, None))
            yield batch


def batches(dataset: Dataset, size: int, steps: int, rng: Rng) -> Iterator[Batch]:
    """`steps` batches: images float [n, 3, 224, 384] 0..1, rows for each; every epoch in a new order."""
    order: list[int] = []
    for _ in range(steps):
        if len(order) < size:
            order = rng.permutation(len(dataset.images)).tolist()
        chosen, order = order[:size], order[size:]
        pairs = [augmented(dataset.images[i], dataset.rows[i], rng) for i in chosen]
        images = torch.from_numpy(np.stack([image for image, _ in pairs])).permute(0, 3, 1, 2)
        yield (
            images.float().div_(255).contiguous(memory_format=torch.channels_last),
            [rows for _, rows in pairs],
        )


class Places:
    """The places of the output rows.

    Attributes:
        grid: column and row [n, 2].
        stride: [n, 1].
        centre: x, y in input pixels [n, 2].
        sizes: the shortest and the longest part that each answers for, in input pixels [n, 2].
    """

    def __init__(self) -> None:
        grids, strides = [], []
        for stride in STRIDES:
            rows, columns = torch.arange(INPUT[1] // stride), torch.arange(INPUT[0] // stride)
            y, x = torch.meshgrid(rows, columns, indexing="ij")
            grids.append(torch.stack([x.flatten(), y.flatten()], dim=1))
            strides += [stride] * x.numel()
        self.grid = torch.cat(grids).float()
        self.stride = torch.tensor(strides).float()[:, None]
        self.centre = (self.grid + 0.5) * self.stride
        self.sizes = torch.tensor([SIZES[stride] for stride in strides])


def assigned(rows: Rows, places: Places) -> tuple[Tensor, Tensor]:
    """Which part each place answers for ([n], -1 for none) and which places to leave out of the loss ([n]).

    A place answers for a part if its stride suits the size and it is near the part's centre (centre
    sampling, FCOS, Tian et al. 2019, arXiv:1904.01355); of several parts, the nearest.
    """
    if len(rows) == 0:
        return torch.full((len(places.grid),), -1), torch.zeros(len(places.grid), dtype=torch.bool)
    boxes = torch.from_numpy(rows[:, :4])
    counts = torch.from_numpy(rows[:, 4] >= 0)
    size = (boxes[:, 2:] - boxes[:, :2]).max(dim=1).values
    suits = (size >= places.sizes[:, :1]) & (size < places.sizes[:, 1:]) & counts
    point = places.centre[:, None]
    distance = (point - (boxes[:, :2] + boxes[:, 2:]) / 2).abs().max(dim=2).values / places.stride
    inside = ((point > boxes[:, :2]) & (point < boxes[:, 2:])).all(dim=2)
    # Thin parts can lie between all places: those next to the centre answer for them.
    near = (inside & (distance < CENTRE)) | (distance < 0.6)
    nearest = distance.masked_fill(~(suits & near), math.inf).min(dim=1)
    owner = torch.where(nearest.values.isfinite(), nearest.indices, -1)
    return owner, (inside & ~counts).any(dim=1) & (owner < 0)


def generalized_iou(boxes: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and GIoU (Rezatofighi et al. 2019, arXiv:1902.09630) of boxes x1, y1, x2, y2, pair by pair, [n]."""
    low, high = torch.maximum(boxes[:, :2], targets[:, :2]), torch.minimum(boxes[:, 2:], targets[:, 2:])
    common = (high - low).clamp(0)
    around = torch.maximum(boxes[:, 2:], targets[:, 2:]) - torch.minimum(boxes[:, :2], targets[:, :2])
    intersection = common.prod(dim=1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (targets[:, 2:] - targets[:, :2]).prod(1) - intersection
    iou = intersection / union.clamp(1e-6)
    return iou, iou - 1 + union / around.prod(dim=1).clamp(1e-6)


class Loss:
    """GIoU for boxes, binary cross-entropy for objectness and class, weighted as in YOLOX."""

    def __init__(self) -> None:
        self.places = Places()

    def __call__(self, output: Tensor, rows: list[Rows]) -> tuple[Tensor, dict[str, float]]:
        """Loss of output rows [n, places, 9] against the pictures' parts."""
        pairs = [assigned(found, self.places) for found in rows]
        owner = torch.stack([pair[0] for pair in pairs])
        counted = ~torch.stack([pair[1] for pair in pairs])
        picture, place = torch.nonzero(owner >= 0, as_tuple=True)
        owned = zip(picture.tolist(), owner[picture, place].tolist(), strict=True)
        parts = [torch.from_numpy(rows[which][part]) for which, part in owned]
        target = torch.stack(parts) if parts else torch.zeros(0, 5)
        chosen = output[picture, place]
        stride = self.places.stride[place]
        centre = (chosen[:, :2] + self.places.grid[place]) * stride
        half = chosen[:, 2:4].clamp(-4, 6).exp() * stride / 2
        iou, giou = generalized_iou(torch.cat([centre - half, centre + half], dim=1), target[:, :4])
        wanted = functional.one_hot(target[:, 4].long(), len(LABELS)) * iou.detach().clamp(0)[:, None]
        count = max(1, len(parts))
        box = (1 - giou).sum() / count
        entropy = functional.binary_cross_entropy_with_logits
        kind = entropy(chosen[:, 5:], wanted, reduction="sum") / count
        held = (owner >= 0).float()
        there = entropy(output[..., 4], held, weight=counted.float(), reduction="sum") / count
        losses = {"box": box.item(), "kind": kind.item(), "there": there.item(), "iou": iou.mean().item()}
        return 5 * box + kind + there, losses


def train(dataset: Dataset, steps: int, batch: int, peak: float, start: Path | None = None) -> Detector:
    """Train for `steps` batches, from scratch or from the weights `start`; returns their running average."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = Detector()
    if start is not None:
        model.load_state_dict(torch.load(start, weights_only=True))
    model = model.to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(model).eval()
    decayed = [value for value in model.parameters() if value.ndim > 1]
    others = [value for value in model.parameters() if value.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=peak)
    warm = min(200, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (
            (step + 1) / warm
            if step < warm
            else 0.01 + 0.495 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
        ),
    )
    loss_of = Loss()
    started = time.monotonic()
    for step, (images, rows) in enumerate(ahead(batches(dataset, batch, steps, rng)), start=1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = as_rows(model(images))
        loss, parts = loss_of(output.float(), rows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        _follow(average, model, min(0.998, step / (step + 50)))
        if step % 50 == 0:
            shown = " ".join(f"{name} {value:.3f}" for name, value in parts.items())
            print(f"step {step} of {steps}, {time.monotonic() - started:.0f} s: {shown}", flush=True)
    return average


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, keep: float) -> None:
    """Exponential moving average of weights and of the batch norms' statistics."""
    for slow, fast in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if slow.dtype.is_floating_point:
            slow.lerp_(fast, 1 - keep)
        else:
            slow.copy_(fast)


def export(model: Detector, path: Path) -> None:
    """Write the ONNX file, batch norms folded into the convolutions."""
    model = copy.deepcopy(model).eval().to(memory_format=torch.contiguous_format)
    for parent in list(model.modules()):
        if isinstance(parent, nn.Sequential) and len(parent) == 3 and isinstance(parent[1], nn.BatchNorm2d):
            parent[0] = nn.utils.fusion.fuse_conv_bn_eval(parent[0], parent[1])
            parent[1] = nn.Identity()
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(1, 3, INPUT[1], INPUT[0])
    torch.onnx.export(
        Exported(model),
        (example,),
        str(path),
        input_names=["images"],
        output_names=["output"],
        opset_version=17,
        dynamo=False,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the conveyor detector and export it to ONNX.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="keep the rendered training set here (.npz)")
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peak", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--start", type=Path, help="go on from these weights (.pt) instead of from scratch")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    dataset = training_set(arguments.cache, arguments.threads)
    model = train(dataset, arguments.steps, arguments.batch, arguments.peak, arguments.start)
    torch.save(model.state_dict(), arguments.out.with_suffix(".pt"))
    export(model, arguments.out)
    print(f"{arguments.out}: {sum(p.numel() for p in model.parameters())} parameters")


if __name__ == "__main__":
    main()
