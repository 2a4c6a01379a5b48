"""CLIP (Radford et al. 2021) through transformers: how well a picture fits its prompt, and features for cmmd."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPModel

from ldm_core.checkpoint import load_tokenizer, network

from ..downloads import NO_DOWNLOADS, Downloads
from .hub import PICKLED, Published, hub_folder, network_hash
from .resize import resize

# The usual one for clip_score, torchmetrics' default too; and the one of CMMD (Jayasumana et al. 2024).
SCORE = Published(
    "LDM_CLIP",
    "openai/clip-vit-large-patch14",
    "model.safetensors",
    1_710_540_580,
    "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
)
CMMD = Published(
    "LDM_CLIP_336",
    "openai/clip-vit-large-patch14-336",
    PICKLED,  # no safetensors there; tensors alone are read of it
    1_711_974_081,
    "c6032c2e0caae3dc2d4fba35535fa6307dbb49df59c7e182b1bc4b3329b81801",
)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # where the folder does not say
BATCH = 64  # prompts


class ClipDetector:
    """A CLIP folder. clip_score is 100 times the cosine of image and prompt, each image's clamped at 0 (Hessel et al. 2021)."""

    def __init__(self, folder: Path, name: str, device: str = "cpu"):
        self.name, self.device, self.sha256 = name, device, network_hash(folder)
        self.model = network(CLIPModel, folder, torch.float32).eval().requires_grad_(False).to(device)
        self.tokenizer = load_tokenizer(folder)
        self.dimension, self.size = self.model.config.projection_dim, self.model.config.vision_config.image_size
        self.resize = f"clean-{self.size}, middle square"
        self.mean, self.std = _normalisation(folder)
        self.longest = self.model.config.text_config.max_position_embeddings

    @torch.inference_mode()
    def image_features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> projected features (B, dimension), float32, not normalised."""
        side = min(images.shape[2:])
        top, left = ((length - side) // 2 for length in images.shape[2:])
        square = images[:, :, top : top + side, left : left + side].to(self.device).float()
        pixels = resize(square * 255, self.size) / 255
        pooled = self.model.vision_model(
            pixel_values=(pixels - self.mean.to(pixels)) / self.std.to(pixels)
        ).pooler_output
        return self.model.visual_projection(pooled).float().cpu()

    @torch.inference_mode()
    def text_features(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> projected features (len(prompts), dimension), float32.

        A prompt that is too long loses words, never its end-of-text token: CLIP reads a text off that token.
        """
        features = []
        for start in range(0, len(prompts), BATCH):
            # Filled up to one length, so that no prompt's features depend on the others'.
            tokens = self.tokenizer(
                list(prompts[start : start + BATCH]),
                padding="max_length",
                truncation=True,
                max_length=self.longest,
                return_tensors="pt",
            ).to(self.device)
            pooled = self.model.text_model(tokens.input_ids, attention_mask=tokens.attention_mask).pooler_output
            features.append(self.model.text_projection(pooled).float().cpu())
        return torch.cat(features)

    def is_truncated(self, prompt: str) -> bool:
        """Whether a prompt is longer than this CLIP reads."""
        return len(self.tokenizer(prompt).input_ids) > self.longest

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """Features (B, dimension), and clip_score of each image against its prompt."""
        features = self.image_features(images)
        cosines = F.cosine_similarity(features, self.text_features(prompts))
        return features.numpy(), {"clip_score": (100 * cosines).clamp(min=0).tolist()}


class CmmdDetector(ClipDetector):
    """CLIP for its image features alone."""

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """Features (B, dimension); prompts are not read."""
        return self.image_features(images).numpy(), {}


def _normalisation(folder: Path) -> tuple[Tensor, Tensor]:
    """The mean and spread that a checkpoint's pixels are brought to, (3, 1, 1) each."""
    path = folder / "preprocessor_config.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    values = known.get("image_mean", MEAN), known.get("image_std", STD)
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in values)
    return mean, std


def load_clip(device: str = "cpu", downloads: Downloads = NO_DOWNLOADS) -> ClipDetector:
    """The CLIP of clip_score: $LDM_CLIP, else OpenAI's ViT-L/14."""
    folder = hub_folder(SCORE, downloads)
    return ClipDetector(folder, f"clip ({folder_name(folder, SCORE)})", device)


def load_cmmd(device: str = "cpu", downloads: Downloads = NO_DOWNLOADS) -> CmmdDetector:
    """The CLIP of cmmd: $LDM_CLIP_336, else OpenAI's ViT-L/14 at 336 pixels."""
    folder = hub_folder(CMMD, downloads)
    return CmmdDetector(folder, f"clip ({folder_name(folder, CMMD)})", device)


def folder_name(folder: Path, source: Published) -> str:
    """What a report calls the network: the hub id it comes from, or the folder that was named."""
    return source.id if f"models--{source.id.replace('/', '--')}" in folder.parts else folder.name
