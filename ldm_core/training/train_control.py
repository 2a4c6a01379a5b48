"""A control for a finished model: a T2I-Adapter that makes it draw its things into the silhouettes of an image.

    python -m ldm_core.training.train_control scenes-cpu --model scenes --out runs/scenes-control

The same command resumes; Ctrl-C saves first. OUT/model is a diffusers T2IAdapter folder of the averaged weights so far:
`ldm_core.load("scenes", control="OUT/model")` and diffusers' StableDiffusionAdapterPipeline both take it. The model itself
stays as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import T2IAdapter
from torch import Tensor
from tqdm import tqdm

from .. import command
from ..conditioning import Conditioning
from ..loading import load
from ..pipeline import LatentDiffusion
from ..placement import choose_device
from ..precision import mixed
from ..schedulers import make_scheduler
from ..tasks.control_folder import feature_places
from .batch import Batch, batch_of
from .command import add_run_options, run_command
from .config import CONTROLS, ControlConfig
from .corpus import load_corpus
from .everyday import Drawings
from .kept import identity_of_pictures, kept_array
from .lesson import attention_for_training
from .train_denoiser import cached_latents
from .trainer import Trainer

# Of each adapter of diffusers' the sides of its features, for a latent of 64, and the first one's halvings of the latent.
ADAPTERS = {"full_adapter": ((64, 32, 16, 8, 4), 1), "full_adapter_xl": ((32, 32, 16, 16), 2)}


def build(config: ControlConfig, model: LatentDiffusion) -> T2IAdapter:
    """The untrained adapter of a recipe, of the model's own widths and resolutions.

    diffusers knows two that fit: one whose features halve at every place of the U-Net, and SDXL's, which begins at the
    second resolution and halves once, for a U-Net whose first block has no cross-attention (feature_places).
    """
    places = feature_places(model.denoiser.network, 64)
    for kind, (sides, downscale) in ADAPTERS.items():
        for used in (places, places[:-1]):  # the middle block's may be halved once too often
            if [side for _, side in used] == list(sides[: len(used)]):
                return T2IAdapter(
                    in_channels=1,
                    channels=[width for width, _ in used],
                    num_res_blocks=config.res_blocks,
                    downscale_factor=downscale * model.factor,
                    adapter_type=kind,
                )
    said = ", ".join(f"{width} x {side}" for width, side in places)
    raise ValueError(f"no adapter of diffusers' has features for this U-Net (channels x side: {said})")


class ControlLesson:
    """What one step teaches: the frozen denoiser's squared error, given the adapter's features of the silhouettes."""

    def __init__(
        self,
        adapter: T2IAdapter,
        model: LatentDiffusion,
        config: ControlConfig,
        device: str,
    ):
        self.adapter, self.model, self.config, self.device = adapter, model, config, device
        self.unet = model.denoiser.network.requires_grad_(False)
        scheduler = make_scheduler(model.scheduler_config, "ddim")
        self.prediction_type = scheduler.config.prediction_type
        self.alpha_bars = scheduler.alphas_cumprod.to(device)

    def loss(self, batch: Batch, silhouettes: np.ndarray) -> Tensor:
        """Of a batch and its silhouettes, uint8 (B, H, W)."""
        t, noisy, target = batch.noised(self.alpha_bars, self.config.time_sampling, self.prediction_type)
        shown = torch.from_numpy(silhouettes)[:, None].to(self.device).float() / 255
        told = Conditioning.stack([self.model.conditioner.encode(caption) for caption in batch.captions])
        return self.error(shown, noisy, t, target, told.tokens.to(self.device))

    def error(self, shown: Tensor, noisy: Tensor, t: Tensor, target: Tensor, told: Tensor) -> Tensor:
        """Of silhouettes (B, 1, H, W) in [0, 1], noisy latents and what is to be said of them (B, C, h, w), times (B,), and
        what is said of the pictures (B, T, width)."""
        with mixed(self.device), attention_for_training(self.device):
            features = self.adapter(shown)
            prediction = self.unet(
                noisy,
                t,
                encoder_hidden_states=told,
                down_intrablock_additional_residuals=list(features),
            ).sample
        return (prediction.float() - target).square().mean()


def train(
    config: ControlConfig,
    name: str,
    folder: Path,
    device: str,
    minutes: float | None = None,
    latents_file: Path | None = None,
) -> bool:
    """Train to the end (True) or to Ctrl-C (False); folder/model holds the averaged weights.

    `name` is the model's, as ldm_core.load takes it. `latents_file` is where the pictures' latents are kept, for runs that
    share them; by default in the folder.
    """
    torch.manual_seed(config.seed)
    model = load(name, device=device, dtype="float32")
    corpus = load_corpus(config.data, config.pool, config.image_size)
    if corpus.silhouette is None:
        raise ValueError(f"data must be a drawn world, whose program says where each thing is, got {config.data!r}")
    adapter = build(config, model)
    trainer = Trainer(adapter, config, folder, config.warmup_steps, device, minutes)
    latents = cached_latents(model.autoencoder.vae, corpus.images, latents_file or folder / "latents.npy", device)
    silhouettes = cached_silhouettes(corpus.silhouette, corpus.images, folder / "silhouettes.npy")
    lesson = ControlLesson(adapter, model, config, device)

    def loss(step: int) -> Tensor:
        batch = batch_of(latents, corpus, config, step, device)
        return lesson.loss(batch, silhouettes[batch.pictures])

    return trainer.run(loss, lambda path: save_adapter(folder / "model", adapter))


def cached_silhouettes(
    silhouette: Callable[[int], np.ndarray], images: np.ndarray | Drawings, path: Path
) -> np.ndarray:
    """Of all training pictures, uint8 (N, H, W); kept at `path` for a resumed run."""

    def draw() -> np.ndarray:
        return np.stack([silhouette(i) for i in tqdm(range(len(images)), "silhouettes", unit="scene", mininterval=2)])

    return kept_array(path, identity_of_pictures(images), draw)


def save_adapter(folder: Path, adapter: T2IAdapter) -> None:
    """As diffusers reads it, in fp16."""
    half = T2IAdapter.from_config(adapter.config).half()
    half.load_state_dict(adapter.state_dict())
    half.save_pretrained(folder)


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.training.train_control", __doc__)
    add_run_options(parser, CONTROLS)
    parser.add_argument("--model", required=True, metavar="NAME|FOLDER", help="the finished model that is to obey")

    def work(arguments: argparse.Namespace) -> bool:
        config, device = CONTROLS[arguments.recipe], choose_device(arguments.device)
        return train(config, arguments.model, arguments.out, device, arguments.minutes)

    return run_command(parser, argv, work)


if __name__ == "__main__":
    raise SystemExit(main())
