"""How much of an image an autoencoder keeps, and what plain shrinking would keep at the same cost."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from ldm_core.checks import first_line

from ..downloads import NO_DOWNLOADS, Downloads, Remote
from ..transfer import download

SSIM_WINDOW = 11  # pixels
LPIPS_SIDE = 31  # pixels: AlexNet's strides leave nothing of less
ALEXNET = Remote(
    "LPIPS's AlexNet",
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    244_408_911,
    "sha256:7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
)


def psnr(images: Tensor, others: Tensor, data_range: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio in dB, per image: 10 log10(R^2 / MSE) of (B, C, H, W); infinite where they are equal."""
    if images.shape != others.shape:
        raise ValueError(f"images and others must have one shape, got {tuple(images.shape)} and {tuple(others.shape)}")
    error = (images.double() - others.double()).square().flatten(1).mean(1)
    return 10 * torch.log10(data_range**2 / error)


def ssim(images: Tensor, others: Tensor) -> Tensor:
    """Structural similarity per image (Wang et al. 2004: Gaussian window of 11, sigma 1.5), of (B, 3, H, W) in [0, 1];
    NaN where a side is shorter than the window."""
    if min(images.shape[2:]) < SSIM_WINDOW:
        return torch.full((len(images),), torch.nan)
    found = structural_similarity_index_measure(others, images, data_range=1.0, reduction="none")
    assert isinstance(found, Tensor), "it was asked for no second image"
    return found.reshape(-1)


def bicubic(images: Tensor, values: int) -> Tensor:
    """Images (B, 3, H, W) in [0, 1], shrunk to about `values` numbers each and enlarged again, bicubic with antialias:
    the baseline that a latent of as many numbers has to beat."""
    height, width = images.shape[2:]
    ratio = (values / (3 * height * width)) ** 0.5
    small = (max(1, round(height * ratio)), max(1, round(width * ratio)))
    shrunk = F.interpolate(images, small, mode="bicubic", antialias=True)
    return F.interpolate(shrunk, (height, width), mode="bicubic").clamp(0, 1)


def lpips(images: Tensor, others: Tensor) -> Tensor:
    """Learned perceptual distance per image (Zhang et al. 2018, AlexNet), of (B, 3, H, W) in [0, 1]; lower is closer.

    NaN where a side is shorter than the network can halve. Ask `require_lpips` first: torchvision would fetch the weights.
    """
    if min(images.shape[2:]) < LPIPS_SIDE:
        return torch.full((len(images),), torch.nan)
    from torchmetrics.functional.image.lpips import learned_perceptual_image_patch_similarity as distance

    pairs = zip(others, images)
    return torch.stack([distance(other[None], image[None], net_type="alex", normalize=True) for other, image in pairs])


def require_lpips(downloads: Downloads = NO_DOWNLOADS) -> None:
    """ValueError, in one line, unless `lpips` can be computed; AlexNet's weights are fetched only where that is agreed."""
    try:
        importlib.import_module("torchvision.models")
    except (ImportError, OSError, RuntimeError) as error:  # the latter two where it was built for another torch
        raise ValueError(f"LPIPS needs torchvision, which cannot be used here: {first_line(error)}") from None
    file = _alexnet_file()
    if not file.is_file():
        downloads.permit(ALEXNET.name, ALEXNET.size, ALEXNET.host, file.parent)
        download(ALEXNET, file)


def lpips_obstacle() -> str:
    """Why `lpips` cannot be computed without fetching anything; empty where it can."""
    if importlib.util.find_spec("torchvision") is None:
        return "torchvision is not installed"
    file = _alexnet_file()
    return "" if file.is_file() else f"AlexNet's weights ({file.name}) are not in torch's cache"


def _alexnet_file() -> Path:
    """Where torchvision keeps it, below torch's own cache."""
    return Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET.url.rpartition("/")[2]


def crop(image: Tensor, multiple: int) -> Tensor:
    """The middle of an image (3, H, W) whose sides are multiples of a number: cropped, never squeezed."""
    height, width = (side // multiple * multiple for side in image.shape[1:])
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]
