"""Stage 1: train a KL autoencoder.

    python -m ldm_core.training.train_autoencoder scenes-cpu --out runs/scenes-autoencoder

The same command resumes; Ctrl-C saves first. When done, the averaged weights stand in OUT/vae, a diffusers folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from ..loading import choose_device
from . import losses
from .command import add_run_options, run_command
from .config import AUTOENCODERS, AutoencoderConfig
from .corpus import load_corpus
from .trainer import Trainer, averaged


def build(config: AutoencoderConfig) -> AutoencoderKL:
    """The untrained autoencoder of a recipe: convolutions only, so that it takes images of any size."""
    levels = len(config.channels)
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=config.latent_channels, sample_size=config.image_size,
        down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.channels, layers_per_block=config.layers_per_block,
        norm_num_groups=config.norm_groups, mid_block_add_attention=False,
    )  # fmt: skip
    if config.linear_start:
        start_linear(vae, config.linear_start)
    return vae


@torch.no_grad()
def start_linear(vae: AutoencoderKL, offset: float) -> None:
    """Let each half start as a nearly linear map, so that colours and contrasts come through from the first step.

    A group norm takes from every group its mean and spread: of an image, its colour and contrast. With +-offset in turn
    on the channels before the last norm, the offsets decide both, the norm divides by about `offset`, and its weight and
    bias undo that. Residual branches start small, so that the skips, which are linear, carry the image.
    """
    for name, parameter in vae.named_parameters():
        if name.endswith("conv2.weight"):
            parameter.mul_(0.1)
    for half, last in ((vae.encoder, vae.encoder.mid_block), (vae.decoder, vae.decoder.up_blocks[-1])):
        signs = torch.ones_like(half.conv_norm_out.bias)
        signs[1::2] = -1
        last.resnets[-1].conv2.bias.add_(offset * signs)
        half.conv_norm_out.weight.fill_(offset)
        half.conv_norm_out.bias.copy_(1 - offset * signs)  # SiLU is nearly linear around 1


def train(config: AutoencoderConfig, folder: Path, device: str, data_folder: Path | None = None) -> bool:
    """Train to the end (True) or to Ctrl-C (False); the finished autoencoder is saved in folder/vae."""
    torch.manual_seed(config.seed)
    module = build(config).to(memory_format=torch.channels_last)  # a tenth faster on a CPU
    trainer = Trainer(module, config, folder, warmup_steps=config.steps // 20, device=device)
    images = load_corpus(config.data, config.pool, config.image_size, data_folder).images

    def loss_of(step: int) -> Tensor:
        image = batch_of(images, config, step).to(device)
        # Drawn for this step alone, so that a resumed run sees what an unbroken one would have seen.
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        with torch.autocast(device, torch.bfloat16):
            posterior = trainer.module.encode(image).latent_dist
            decoded = trainer.module.decode(posterior.sample(generator)).sample
        kl = losses.kl_divergence(posterior.mean.float(), posterior.logvar.float())
        fit = losses.reconstruction(decoded.float(), image, config.mse_weight, config.gradient_weight)
        return fit + config.kl_weight * kl

    finished = trainer.run(loss_of, lambda path: save_pairs(trainer.module, images[:8], path, device))
    if finished:
        with averaged(trainer) as vae:
            vae.register_to_config(scaling_factor=1.0 / latent_spread(vae, images[:512], device))
            vae.half().save_pretrained(folder / "vae", max_shard_size="9MB")
    return finished


def batch_of(images: np.ndarray, config: AutoencoderConfig, step: int) -> Tensor:
    """The batch of a step: crops at first, whole images at the end; (B, 3, h, w) in [-1, 1]. It depends on the step alone."""
    rng = np.random.default_rng((config.seed, step))
    crops = step < config.crop_steps
    count, size = (config.crop_batch, config.crop_size) if crops else (config.whole_batch, config.image_size)
    chosen = rng.integers(len(images), size=count)
    corners = rng.integers(config.image_size - size + 1, size=(count, 2))
    batch = np.stack([images[i, y : y + size, x : x + size] for i, (y, x) in zip(chosen, corners)])
    return to_model_range(batch)


def to_model_range(images: np.ndarray) -> Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) in [-1, 1], the range diffusers' autoencoders work in."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.inference_mode()
def latent_spread(vae: AutoencoderKL, images: np.ndarray, device: str) -> float:
    """Standard deviation of posterior means over images; its inverse is the scaling factor (Rombach et al., appendix G)."""
    means = [
        vae.encode(to_model_range(images[i : i + 16]).to(device)).latent_dist.mean for i in range(0, len(images), 16)
    ]
    return float(torch.cat(means).std())


@torch.inference_mode()
def save_pairs(vae: AutoencoderKL, images: np.ndarray, path: Path, device: str) -> None:
    """A sheet: originals above, reconstructions below."""
    decoded = vae(to_model_range(images).to(device)).sample.float().cpu()
    below = ((decoded + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in (images, below)], axis=0)
    Image.fromarray(sheet).save(path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ldm_core.training.train_autoencoder", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    add_run_options(parser, AUTOENCODERS)
    arguments = parser.parse_args(argv)
    return run_command(
        parser,
        lambda: train(AUTOENCODERS[arguments.recipe], arguments.out, choose_device(arguments.device), arguments.data),
    )


if __name__ == "__main__":
    raise SystemExit(main())
