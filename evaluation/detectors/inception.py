"""Inception-v3 as FID has always used it (Heusel et al. 2017): the network of TensorFlow's 2015-12-05 graph.

Szegedy et al. 2016 with that graph's own habits: average pooling that leaves padding out, a maximum in the last block's
pooling branch, 1008 classes. Parameters are named as in the published PyTorch conversion, so that its file loads as it is.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldm_core.checks import first_line

from ..downloads import NO_DOWNLOADS, Downloads, Remote
from ..transfer import download
from .resize import resize

FEATURES = 2048
INPUT_SIZE = 299  # pixels
# One file under two names: pytorch-fid's and torch-fidelity's. Both names carry the first 8 digits of its SHA-256.
FILES = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
CHECKSUM = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
WEIGHTS = Remote(
    "Inception-v3 (fid, kid)",
    f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILES[0]}",
    95_628_359,
    f"sha256:{CHECKSUM}",
)
VARIABLE = "LDM_INCEPTION"


Sides = int | tuple[int, int]  # rows and columns, or both the same


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, channels_in: int, channels: int, kernel: Sides, stride: int = 1, padding: Sides = 0):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def average(x: Tensor) -> Tensor:
    """3 x 3 means of what is inside the picture."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class MixedA(nn.Module):
    """35 x 35: branches of 1x1, 5x5, two 3x3, and pooling."""

    def __init__(self, channels_in: int, pooled: int):
        super().__init__()
        self.branch1x1 = Convolution(channels_in, 64, 1)
        self.branch5x5_1 = Convolution(channels_in, 48, 1)
        self.branch5x5_2 = Convolution(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Convolution(channels_in, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, padding=1)
        self.branch_pool = Convolution(channels_in, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch5x5_2(self.branch5x5_1(x)),
                self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
                self.branch_pool(average(x)),
            ],
            1,
        )


class ReductionA(nn.Module):
    """35 x 35 to 17 x 17."""

    def __init__(self, channels_in: int):
        super().__init__()
        self.branch3x3 = Convolution(channels_in, 384, 3, stride=2)
        self.branch3x3dbl_1 = Convolution(channels_in, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class MixedB(nn.Module):
    """17 x 17: branches of 1x1, 7x7 and two 7x7 taken apart into rows and columns, and pooling."""

    def __init__(self, inner: int):
        super().__init__()
        row, column = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))  # kernel, stride, padding
        self.branch1x1 = Convolution(768, 192, 1)
        self.branch7x7_1 = Convolution(768, inner, 1)
        self.branch7x7_2 = Convolution(inner, inner, *row)
        self.branch7x7_3 = Convolution(inner, 192, *column)
        self.branch7x7dbl_1 = Convolution(768, inner, 1)
        self.branch7x7dbl_2 = Convolution(inner, inner, *column)
        self.branch7x7dbl_3 = Convolution(inner, inner, *row)
        self.branch7x7dbl_4 = Convolution(inner, inner, *column)
        self.branch7x7dbl_5 = Convolution(inner, 192, *row)
        self.branch_pool = Convolution(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(average(x))], 1)


class ReductionB(nn.Module):
    """17 x 17 to 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(768, 192, 1)
        self.branch3x3_2 = Convolution(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Convolution(768, 192, 1)
        self.branch7x7x3_2 = Convolution(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Convolution(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Convolution(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, F.max_pool2d(x, 3, stride=2)], 1)


class MixedC(nn.Module):
    """8 x 8: branches of 1x1, 3x3 and two 3x3 that end in a row and a column each, and pooling."""

    def __init__(self, channels_in: int, pool: Callable[[Tensor], Tensor]):
        super().__init__()
        row, column = ((1, 3), 1, (0, 1)), ((3, 1), 1, (1, 0))  # kernel, stride, padding
        self.branch1x1 = Convolution(channels_in, 320, 1)
        self.branch3x3_1 = Convolution(channels_in, 384, 1)
        self.branch3x3_2a = Convolution(384, 384, *row)
        self.branch3x3_2b = Convolution(384, 384, *column)
        self.branch3x3dbl_1 = Convolution(channels_in, 448, 1)
        self.branch3x3dbl_2 = Convolution(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Convolution(384, 384, *row)
        self.branch3x3dbl_3b = Convolution(384, 384, *column)
        self.branch_pool = Convolution(channels_in, 192, 1)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch3x3_2a(single),
                self.branch3x3_2b(single),
                self.branch3x3dbl_3a(double),
                self.branch3x3dbl_3b(double),
                self.branch_pool(self.pool(x)),
            ],
            1,
        )


class InceptionV3(nn.Module):
    """Images (B, 3, 299, 299) in [-1, 1] -> the 2048 numbers of the last pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = MixedA(192, 32), MixedA(256, 64), MixedA(288, 64)
        self.Mixed_6a = ReductionA(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = MixedB(128), MixedB(160), MixedB(160), MixedB(192)
        self.Mixed_7a = ReductionB()
        self.Mixed_7b = MixedC(1280, average)
        self.Mixed_7c = MixedC(2048, functools.partial(F.max_pool2d, kernel_size=3, stride=1, padding=1))
        self.fc = nn.Linear(FEATURES, 1008)  # not used for distances; the published file holds it

    def forward(self, x: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean((2, 3))


class InceptionDetector:
    """Features for fid and kid. `mode` is how images are brought to 299 x 299: see resize.py."""

    name, dimension = "inception_v3", FEATURES

    def __init__(self, network: InceptionV3, mode: str, sha256: str, device: str = "cpu"):
        self.network, self.mode, self.sha256, self.device = (
            network.eval().requires_grad_(False).to(device),
            mode,
            sha256,
            device,
        )
        self.resize = f"{mode}-{INPUT_SIZE}"

    @torch.inference_mode()
    def image_features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> features (B, 2048), float32."""
        levels = resize(images.to(self.device).float() * 255, INPUT_SIZE, self.mode)
        # TensorFlow's graph subtracts and divides by 128; pytorch-fid maps [0, 255] onto [-1, 1].
        scaled = levels / 127.5 - 1 if self.mode == "pytorch" else (levels - 128) / 128
        return self.network(scaled).float().cpu()

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """Features (B, 2048); it knows nothing of prompts."""
        return self.image_features(images).numpy(), {}


def load_inception(mode: str = "clean", device: str = "cpu", downloads: Downloads = NO_DOWNLOADS) -> InceptionDetector:
    """The published weights, checked; ValueError says where they were looked for and how to get them."""
    path = weights_file(downloads)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != CHECKSUM:
        raise ValueError(f"{path} is not {FILES[0]}: its SHA-256 begins with {digest[:8]}, not {CHECKSUM[:8]}")
    network = InceptionV3()
    load_published(network, path)
    return InceptionDetector(network, mode, digest, device)


def load_published(network: InceptionV3, path: Path) -> None:
    """Fill the network from a file in the published naming; every parameter must be there."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        missing, _ = network.load_state_dict(state, strict=False)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no file of Inception weights: {first_line(error)}") from None
    # The batch counters are of use in training alone, and old files lack them.
    absent = [name for name in missing if not name.endswith("num_batches_tracked")]
    if absent:
        raise ValueError(f"{path} lacks {len(absent)} Inception weights, {absent[0]} among them")


def weights_file(downloads: Downloads = NO_DOWNLOADS) -> Path:
    """The file of the environment variable, else of torch's download cache; fetched into it only where that is agreed."""
    if named := os.environ.get(VARIABLE):
        if not Path(named).is_file():
            raise ValueError(f"{VARIABLE}={named} is no file; it must name {FILES[0]}")
        return Path(named)
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    for name in FILES:
        if (cache / name).is_file():
            return cache / name
    try:
        downloads.permit(WEIGHTS.name, WEIGHTS.size, WEIGHTS.host, cache)
        download(WEIGHTS, cache / FILES[0])
    except ValueError as error:
        raise ValueError(f"{error}, or set {VARIABLE} to {FILES[0]}, or put it into {cache}") from None
    return cache / FILES[0]
