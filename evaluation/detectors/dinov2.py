"""DINOv2 (Oquab et al. 2023) through transformers: features that judge diffusion models more fairly than Inception's
do (Stein et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import Dinov2Model

from ldm_core.checkpoint import network

from ..downloads import NO_DOWNLOADS, Downloads
from .clip import folder_name
from .hub import Published, hub_folder, network_hash
from .resize import resize

SOURCE = Published(  # ViT-L/14, as in Stein et al.
    "LDM_DINOV2",
    "facebook/dinov2-large",
    "model.safetensors",
    1_217_522_888,
    "399fba97a95f22c36834418bc69373364a99af3a1153da1c0fb31db567c92e23",
)
INPUT_SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which it was trained with


class Dinov2Detector:
    """A DINOv2 folder; an image's feature is its normalised class token."""

    def __init__(self, folder: Path, name: str, device: str = "cpu"):
        self.name, self.device, self.sha256, self.resize = name, device, network_hash(folder), f"clean-{INPUT_SIZE}"
        self.model = network(Dinov2Model, folder, torch.float32).eval().requires_grad_(False).to(device)
        self.dimension = self.model.config.hidden_size
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1).to(device) for values in (MEAN, STD))

    @torch.inference_mode()
    def image_features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> features (B, dimension), float32."""
        pixels = resize(images.to(self.device).float() * 255, INPUT_SIZE) / 255
        return self.model(pixel_values=(pixels - self.mean) / self.std).last_hidden_state[:, 0].float().cpu()

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """Features (B, dimension); it knows nothing of prompts."""
        return self.image_features(images).numpy(), {}


def load_dinov2(device: str = "cpu", downloads: Downloads = NO_DOWNLOADS) -> Dinov2Detector:
    """$LDM_DINOV2, else the published ViT-L/14."""
    folder = hub_folder(SOURCE, downloads)
    return Dinov2Detector(folder, f"dinov2 ({folder_name(folder, SOURCE)})", device)
