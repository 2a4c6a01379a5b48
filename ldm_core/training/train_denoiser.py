"""Stage 2: train a denoiser and its text encoder on the latents of a finished autoencoder.

    python -m ldm_core.training.train_denoiser scenes-cpu --autoencoder runs/scenes-autoencoder/vae --out runs/scenes

The same command resumes; Ctrl-C saves first. OUT/model is a diffusers folder of the averaged weights so far, renewed
with each sample sheet: `ldm_core.load("OUT/model")` and diffusers' StableDiffusionPipeline both take it.

A finished model goes on by what its drawings lack, which a reader of its latents says (train_latent_reader):

    python -m ldm_core.training.train_denoiser scenes-wishes --autoencoder ldm_core/weights/scenes/vae \
        --init ldm_core/weights/scenes --reader runs/scenes-reader/reader.safetensors --turbo scenes-turbo --out runs/scenes-wishes

A few-step model of it, --turbo, finishes what two guided steps have drawn, so that the gradient passes few networks.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from .. import command
from ..loading import load_autoencoder
from ..placement import choose_device
from ..precision import mixed
from ..schedulers import SCHEDULERS, make_scheduler
from .command import add_reader_option, add_run_options, run_command
from .config import DENOISERS, DenoiserConfig
from .corpus import Corpus, load_corpus
from .everyday import Drawings
from .fact_reader import HEAD
from .folder import MODEL_INDEX as MODEL_INDEX
from .folder import save_model, save_sheet
from .kept import identity_of_network, identity_of_pictures, kept_array
from .layout import LayoutHead
from .lesson import Lesson
from .reading import learn_to_read
from .text_encoder import build_text_encoder
from .tokenizer import tokenizer_for
from .train_autoencoder import mean_of, to_model_range
from .trainer import Trainer
from .wish_lesson import check_reader, judge_of, with_wishes

SHEET_PROMPTS = {
    "everyday": (
        "a cat",
        "a dog and a red car on the street at night",
        "three sheep and a house in the snow",
        "a woman with a yellow umbrella in the rain",
        "a child riding a brown horse on the beach",
        "two cups on a table in a room",
        "a purple truck",
        "an airplane above mountains at sunset",
    ),
    "fashion": ("a photo of an ankle boot", "a photo of a bag", "a photo of a dress", "a photo of a sneaker"),
}


def build(config: DenoiserConfig, latent_channels: int, tokenizer: CLIPTokenizer, latent_size: int) -> nn.ModuleDict:
    """The untrained denoiser and text encoder of a recipe."""
    down = ["CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in config.attention]
    up = [name.replace("Down", "Up") for name in reversed(down)]
    unet = UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=config.channels,
        layers_per_block=config.layers_per_block,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        attention_head_dim=config.heads,
        cross_attention_dim=config.text_width,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text" if config.pooled_caption else None,
        addition_embed_type_num_heads=max(1, config.text_width // 32),
    )
    text = build_text_encoder(tokenizer, config.text_width, config.text_layers, config.text_tokens)
    return nn.ModuleDict({"unet": unet, "text_encoder": text})


def train(
    config: DenoiserConfig,
    autoencoder: Path,
    folder: Path,
    device: str,
    data_folder: Path | None = None,
    init: Path | None = None,
    minutes: float | None = None,
    latents_file: Path | None = None,
    reader: Path | None = None,
    turbo: str | None = None,
) -> bool:
    """Train to the end (True) or to Ctrl-C (False); folder/model holds the averaged weights.

    `init` is a model of the same shape to go on from in place of random weights; where it has no U-Net yet, its text
    encoder is taken, which has learned to read. `latents_file` is where the pictures' latents are kept, for runs that share
    them; by default in the folder. With a recipe that pulls by wishes, and a `reader` of the latents of `init`, what is drawn
    is held against its caption as well; `turbo`, a few-step model of `init`, as ldm_core.load takes it, finishes what is drawn.
    """
    check_reader(reader, config.wish_pull, {name: recipe.wish_pull for name, recipe in DENOISERS.items()})
    torch.manual_seed(config.seed)
    judge = judge_of(init, reader, turbo, config.wish_steps, device)
    coder = load_autoencoder(autoencoder)
    vae: Any = coder.vae
    corpus = load_corpus(config.data, config.pool, config.image_size, data_folder, config.shown)
    tokenizer = tokenizer_for(corpus.words, config.text_tokens, folder, init)
    scheduler = noise_schedule(config)
    size = config.image_size // coder.factor
    module = build(config, vae.config.latent_channels, tokenizer, size)
    if init is not None:
        start_from(module, init)
    elif config.reading_steps:
        read_first(module["text_encoder"], tokenizer, corpus, config, folder, device)
    module["text_encoder"].requires_grad_(config.reading_steps == 0)
    if config.layout_weight:
        module["layout"] = LayoutHead(module["unet"], sorted(set(corpus.names.values())))
    trainer = Trainer(module, config, folder, config.warmup_steps, device, minutes)
    latents = cached_latents(vae, corpus.images, latents_file or folder / "latents.npy", device)
    lesson = Lesson(module, tokenizer, corpus, latents, scheduler, config, device)
    loss = lesson.loss if judge is None else with_wishes(lesson, judge)

    def sample(path: Path) -> None:
        save_model(folder / "model", module, vae, tokenizer, scheduler, corpus.words, config.data)
        if init is not None and config.reading_steps and (init / HEAD).exists():  # the encoder is as it was
            shutil.copyfile(init / HEAD, folder / "model" / HEAD)
        save_sheet(folder / "model", SHEET_PROMPTS[config.data], path, device)

    return trainer.run(loss, sample)


def read_first(
    encoder: CLIPTextModel, tokenizer: CLIPTokenizer, corpus: Corpus, config: DenoiserConfig, folder: Path, device: str
) -> None:
    """Teach the text encoder, or take what the folder's earlier start has taught it."""
    path = folder / "text_encoder.safetensors"
    if not path.exists():
        read = learn_to_read(encoder, tokenizer, corpus, config.reading_steps, device)
        tqdm.write(f"The text encoder reads {read:.1%} of captions without a mistake.")
        folder.mkdir(parents=True, exist_ok=True)
        save_file(encoder.state_dict(), path)
    encoder.load_state_dict(load_file(path))


def start_from(module: nn.ModuleDict, folder: Path) -> None:
    """Give the module the weights of an earlier model, or where there is no U-Net yet those of its text encoder.

    Where the recipe pools captions and the earlier model did not, what pools them begins by saying nothing.
    """
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", torch_dtype=torch.float32)
    try:
        module["text_encoder"].load_state_dict(encoder.state_dict())
        if (folder / "unet").exists():
            unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
            pooling = getattr(module["unet"], "add_embedding", None)
            if pooling is not None and unet.config.addition_embed_type is None:
                nn.init.zeros_(pooling.norm2.weight)
                unet.add_embedding = pooling
            module["unet"].load_state_dict(unet.state_dict())
    except RuntimeError:
        raise ValueError(f"--init {folder} has another shape than this recipe builds") from None


def noise_schedule(config: DenoiserConfig) -> SchedulerMixin:
    """The forward process, and the folder's own sampler. Sampling starts from pure noise where v is predicted; an
    epsilon model has nothing to go by there (Lin et al. 2024), so its timesteps begin a little later."""
    described = {
        "_class_name": SCHEDULERS["ddim"],
        "num_train_timesteps": 1000,
        "beta_schedule": config.beta_schedule,
        "prediction_type": config.prediction_type,
        "clip_sample": False,
        "set_alpha_to_one": True,
        "timestep_spacing": "trailing" if config.prediction_type == "v_prediction" else "leading",
    }
    return make_scheduler(described, shift=config.shift)


@torch.inference_mode()
def cached_latents(vae: Any, images: np.ndarray | Drawings, path: Path, device: str) -> np.ndarray:
    """Scaled posterior means of all training images, float16 (N, C, h, w); kept at `path` for a resumed run, and for others
    of the same pictures and autoencoder."""

    def encode() -> np.ndarray:
        latents, pictures = [], iter(images)
        for _ in tqdm(range(0, len(images), 32), desc="encoding", unit="batch", mininterval=2):
            batch = to_model_range(np.stack(list(itertools.islice(pictures, 32)))).to(device)
            with mixed(device, cached=True):
                mean = mean_of(vae, batch)
            latents.append((mean.float() * vae.config.scaling_factor).half().cpu().numpy())
        return np.concatenate(latents)

    vae = vae.to(device)
    made_of = f"{identity_of_pictures(images)} {identity_of_network(vae, vae.config.scaling_factor)}"
    return kept_array(path, made_of, encode)


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.training.train_denoiser", __doc__)
    add_run_options(parser, DENOISERS)
    parser.add_argument("--autoencoder", type=Path, required=True, metavar="FOLDER", help="a finished stage 1, OUT/vae")
    parser.add_argument(
        "--init", type=Path, default=None, metavar="FOLDER", help="a model to start from: more steps for it"
    )
    add_reader_option(parser, "--init")
    parser.add_argument(
        "--turbo",
        default=None,
        metavar="NAME|FOLDER",
        help="with --reader: a few-step model of --init finishes drawings",
    )

    def work(arguments: argparse.Namespace) -> bool:
        config, device = DENOISERS[arguments.recipe], choose_device(arguments.device)
        started = (arguments.data, arguments.init, arguments.minutes)
        judged = {"reader": arguments.reader, "turbo": arguments.turbo}
        return train(config, arguments.autoencoder, arguments.out, device, *started, **judged)

    return run_command(parser, argv, work)


if __name__ == "__main__":
    raise SystemExit(main())
