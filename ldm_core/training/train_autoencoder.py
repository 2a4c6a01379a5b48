"""Stage 1: train a KL autoencoder.

    python -m ldm_core.training.train_autoencoder scenes-cpu --out runs/scenes-autoencoder

The same command resumes; Ctrl-C saves first. When done, the averaged weights stand in OUT/vae, a diffusers folder.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from diffusers import AutoencoderDC, AutoencoderKL
from PIL import Image
from torch import Tensor, nn

from .. import command
from ..autoencoder import posterior_mean
from ..loading import autoencoder_folder, load_autoencoder
from ..placement import choose_device
from ..precision import mixed
from . import losses
from .command import add_run_options, run_command
from .config import AUTOENCODERS, AutoencoderConfig
from .corpus import load_corpus
from .everyday import Drawings
from .trainer import Trainer, averaged, generator_of_step

Network: TypeAlias = AutoencoderKL | AutoencoderDC


def build(config: AutoencoderConfig) -> Network:
    """The untrained autoencoder of a recipe: convolutions only, so that it takes images of any size."""
    return _deep_compression(config) if config.posterior_std else _kl(config)


def _kl(config: AutoencoderConfig) -> AutoencoderKL:
    levels = len(config.channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=config.latent_channels,
        sample_size=config.image_size,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.channels,
        layers_per_block=config.layers_per_block,
        norm_num_groups=config.norm_groups,
        mid_block_add_attention=False,
    )


def _deep_compression(config: AutoencoderConfig) -> AutoencoderDC:
    """Pixels folded into channels and back, with shortcuts around (Chen et al. 2024): nothing works at full resolution,
    which is most of an AutoencoderKL's time, and no group norm takes colour and contrast away."""
    layers, none = (0, *[config.layers_per_block] * (len(config.channels) - 1)), ((),) * len(config.channels)
    vae = AutoencoderDC(
        latent_channels=config.latent_channels,
        encoder_block_out_channels=config.channels,
        decoder_block_out_channels=config.channels,
        encoder_layers_per_block=layers,
        decoder_layers_per_block=layers,
        encoder_qkv_multiscales=none,
        decoder_qkv_multiscales=none,
    )
    # Stable Diffusion's pipeline reads its factor from here; it opens the folder, and gives latents for this class to decode.
    vae.register_to_config(block_out_channels=config.channels)
    for name, parameter in vae.named_parameters():
        if name.endswith("norm.weight"):  # branches start small, so that the shortcuts carry the image
            parameter.data.mul_(0.2)
    return vae


def take_fitting(vae: nn.Module, earlier: nn.Module) -> int:
    """Begin with the weights of another autoencoder wherever name and shape agree; how many tensors that were.

    The levels near the pixels do the same work at every f, so only the innermost are left to learn.
    """
    own = vae.state_dict()
    fitting = {
        name: value for name, value in earlier.state_dict().items() if name in own and own[name].shape == value.shape
    }
    vae.load_state_dict(fitting, strict=False)
    return len(fitting)


def mean_of(vae: Network, image: Tensor) -> Tensor:
    """What stands for an image (B, 3, H, W) in [-1, 1]: its posterior's mean, or all that the network gives."""
    return posterior_mean(vae.encode(image))


def posterior(vae: Network, image: Tensor, config: AutoencoderConfig) -> tuple[Tensor, Tensor]:
    """Mean and log variance of a latent; where the network gives a mean alone, the recipe's one variance for all."""
    if config.posterior_std:
        mean = mean_of(vae, image)
        return mean, torch.full_like(mean, 2 * math.log(config.posterior_std))
    encoded = vae.encode(image)
    return encoded.latent_dist.mean, encoded.latent_dist.logvar


def train(
    config: AutoencoderConfig,
    folder: Path,
    device: str,
    data_folder: Path | None = None,
    init: Path | None = None,
    minutes: float | None = None,
) -> bool:
    """Train to the end (True) or to Ctrl-C (False); the finished autoencoder is saved in folder/vae.

    `init` is an autoencoder of the same shape to go on from, in place of random weights.
    """
    torch.manual_seed(config.seed)
    module = begin(config, init).to(memory_format=torch.channels_last)  # a tenth faster on a CPU
    trainer = Trainer(module, config, folder, config.warmup_steps or config.steps // 20, device, minutes)
    images = pictures(load_corpus(config.data, config.pool, config.image_size, data_folder).images)

    def loss_of(step: int) -> Tensor:
        return loss_on(module, batch_of(images, config, step).to(device), config, generator_of_step(config, step))

    finished = trainer.run(loss_of, lambda path: save_pairs(module, images[:8], path, device))
    if finished:
        with averaged(trainer):
            if not config.frozen_encoder:
                module.register_to_config(scaling_factor=1.0 / latent_spread(module, images[:512], device))
            module.half().save_pretrained(folder / "vae", max_shard_size="9MB")
    return finished


def pictures(images: np.ndarray | Drawings) -> np.ndarray:
    """All of a corpus' pictures at once, those drawn that are only drawn when asked for."""
    return images.all() if isinstance(images, Drawings) else images


def begin(config: AutoencoderConfig, init: Path | None) -> Network:
    """The autoencoder that a run starts with."""
    module = build(config)
    if init is not None:
        earlier = load_autoencoder(init).vae
        if take_fitting(module, earlier) < len(module.state_dict()):
            raise ValueError(f"--init {init} has another shape than this recipe builds")
        if config.frozen_encoder:
            freeze_encoder(module, earlier)
    elif config.frozen_encoder:
        raise ValueError("--init must name an autoencoder whose encoder this recipe keeps as it is")
    elif config.start_from:
        take_fitting(module, load_autoencoder(autoencoder_folder(config.start_from)).vae)
    return module


def freeze_encoder(vae: Network, earlier: Network) -> None:
    """Only the decoder is left to learn; the latents keep their scale."""
    for name, part in vae.named_children():
        if name in ("encoder", "quant_conv"):
            part.requires_grad_(False)
    vae.register_to_config(scaling_factor=earlier.config.scaling_factor)


def loss_on(vae: Network, image: Tensor, config: AutoencoderConfig, generator: torch.Generator) -> Tensor:
    """Reconstruction, divergence and, where the recipe asks, scale equivariance (Skorokhodov et al. 2025,
    arXiv 2502.14831): the latent at half the size is to decode to the image at half the size. Such latents
    have no fine grain that only the decoder understands, and a denoiser learns them sooner."""
    with mixed(image.device.type, cached=True):
        mean, logvar = posterior(vae, image, config)
        latent = mean + (logvar / 2).exp() * torch.randn(mean.shape, generator=generator).to(mean)
        decoded = vae.decode(latent).sample
        small = vae.decode(losses.halved(latent)).sample if config.equivariance_weight else None
    fit = losses.reconstruction(decoded.float(), image, config.mse_weight, config.gradient_weight)
    if small is not None:
        half = losses.reconstruction(small.float(), losses.halved(image), config.mse_weight, config.gradient_weight)
        fit = fit + config.equivariance_weight * half
    if config.channel_weight:
        fit = fit + config.channel_weight * losses.channel_divergence(mean.float())
    return fit + config.kl_weight * losses.kl_divergence(mean.float(), logvar.float())


def batch_of(images: np.ndarray, config: AutoencoderConfig, step: int) -> Tensor:
    """The batch of a step: crops at first, whole images at the end; (B, 3, h, w) in [-1, 1]. It depends on the step alone."""
    rng = np.random.default_rng((config.seed, step))
    crops = step < config.crop_steps
    count, size = (config.crop_batch, config.crop_size) if crops else (config.whole_batch, config.image_size)
    chosen = rng.integers(len(images), size=count)
    corners = config.crop_line * rng.integers((config.image_size - size) // config.crop_line + 1, size=(count, 2))
    batch = np.stack([images[i, y : y + size, x : x + size] for i, (y, x) in zip(chosen, corners)])
    return to_model_range(batch)


def to_model_range(images: np.ndarray) -> Tensor:
    """`in_model_range` of an array."""
    return in_model_range(torch.from_numpy(images))


def in_model_range(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) in [-1, 1], the range diffusers' autoencoders work in."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.inference_mode()
def latent_spread(vae: Network, images: np.ndarray, device: str) -> float:
    """Standard deviation of posterior means over images; its inverse is the scaling factor (Rombach et al., appendix G)."""
    means = [mean_of(vae, to_model_range(images[i : i + 16]).to(device)) for i in range(0, len(images), 16)]
    return float(torch.cat(means).std())


@torch.inference_mode()
def save_pairs(vae: Network, images: np.ndarray, path: Path, device: str) -> None:
    """A sheet: originals above, reconstructions below."""
    decoded = vae.decode(mean_of(vae, to_model_range(images).to(device))).sample.float().cpu()
    below = ((decoded + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in (images, below)], axis=0)
    Image.fromarray(sheet).save(path)


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.training.train_autoencoder", __doc__)
    add_run_options(parser, AUTOENCODERS)
    parser.add_argument(
        "--init", type=Path, default=None, metavar="FOLDER", help="an autoencoder to start from: more steps for it"
    )

    def work(arguments: argparse.Namespace) -> bool:
        config, device = AUTOENCODERS[arguments.recipe], choose_device(arguments.device)
        return train(config, arguments.out, device, arguments.data, arguments.init, arguments.minutes)

    return run_command(parser, argv, work)


if __name__ == "__main__":
    raise SystemExit(main())
