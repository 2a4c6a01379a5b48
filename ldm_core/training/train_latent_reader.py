"""A reader of a finished model's latents, by which what the model draws can be held against captions with a gradient.

    python -m ldm_core.training.train_latent_reader scenes-cpu --model scenes --out runs/scenes-reader

The same command resumes; Ctrl-C saves first. OUT/reader.safetensors is what `train_turbo --reader` takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from .. import command
from ..data.everyday import HELD_OUT_SEEDS, Scene, random_scene
from ..data.everyday.truth import MOST, all_labels_of, with_neighbours
from ..loading import load
from ..placement import choose_device
from ..schedulers import make_scheduler
from .command import add_run_options, run_command
from .config import LATENT_READERS, LatentReaderConfig
from .corpus import load_corpus
from .everyday import Drawings
from .latent_reader import LatentReader, counted, load_reader, misread, numbers_of_kinds, save_reader
from .losses import diffusion_target
from .train_denoiser import cached_latents
from .trainer import Trainer, averaged, generator_of_step

JUDGED = 256  # held-out drawings at the end
TIMES = (0, 200, 400, 600, 800)  # at which they are read


def train(
    config: LatentReaderConfig,
    name: str,
    folder: Path,
    device: str,
    minutes: float | None = None,
    latents_file: Path | None = None,
    judged: int = JUDGED,
    init: Path | None = None,
) -> bool:
    """Train to the end (True) or to Ctrl-C (False); folder/reader.safetensors holds the averaged weights.

    `name` is the model's, as ldm_core.load takes it; `latents_file` as of train_denoiser; `init` an earlier reader to go on
    from. At the end it prints how many things of each kind it counts right in `judged` held-out drawings.
    """
    torch.manual_seed(config.seed)
    model = load(name, device=device, dtype="float32", engine="torch")
    if model.spec.world != config.data:
        raise ValueError(
            f"--model must be trained on {config.data}, got {name} of {model.spec.world or 'no known world'}"
        )
    corpus = load_corpus(config.data, config.pool, config.image_size)
    if not corpus.scenes:
        raise ValueError(f"data must be a drawn world, whose program says where each thing is, got {config.data!r}")
    reader = LatentReader(model) if init is None else load_reader(init, model, "--init").requires_grad_(True).train()
    trainer = Trainer(reader, config, folder, config.warmup_steps, device, minutes)
    vae = model.autoencoder.vae
    latents = cached_latents(vae, corpus.images, latents_file or folder / "latents.npy", device)
    truth = truth_of(corpus.scenes)
    alpha_bars = make_scheduler(model.scheduler_config, "ddim").alphas_cumprod.to(device)

    def loss(step: int) -> Tensor:
        generator = generator_of_step(config, step)
        chosen = np.sort(np.random.default_rng((config.seed, step)).integers(len(latents), size=config.batch))
        clean = torch.from_numpy(latents[chosen]).float()
        noise = torch.randn(clean.shape, generator=generator)  # on the CPU: the same on every device
        t = times(config, generator).to(device)
        noisy, _ = diffusion_target(clean.to(device), noise.to(device), alpha_bars[t], "v_prediction")
        beside = torch.randint(-1, 2, (2, config.batch, MOST), generator=generator)
        right = {name: torch.from_numpy(values[chosen]).to(device) for name, values in truth.items()}
        return torch.stack([*misread(reader(noisy, t), right, beside.to(device)).values()]).sum()

    ended = trainer.run(loss, lambda path: save_reader(folder / "reader.safetensors", reader))
    if ended and judged:
        scenes = [random_scene(seed) for seed in HELD_OUT_SEEDS[:judged]]
        shown = cached_latents(vae, Drawings(scenes, config.image_size), folder / "held-out.npy", device)
        with averaged(trainer):
            report(reader, torch.from_numpy(np.array(shown)).float().to(device), truth_of(scenes)["kind"], alpha_bars)
    return ended


def times(config: LatentReaderConfig, generator: torch.Generator) -> Tensor:
    """Times (batch,), more of them near the clean end: what a model has drawn is nearly clean."""
    return (config.last_time * torch.rand(config.batch, generator=generator) ** 1.5).long()


def labels_of_drawing(scene: Scene) -> dict[str, np.ndarray]:
    """What is true of a scene's drawing, whoever is asked."""
    return with_neighbours(all_labels_of(scene))


def truth_of(scenes: Sequence[Scene]) -> dict[str, np.ndarray]:
    """The labels of every scene, arrays of as many rows."""
    with ProcessPoolExecutor() as pool:
        labels = pool.map(labels_of_drawing, scenes, chunksize=64)
        rows = list(tqdm(labels, "labels", len(scenes), unit="scene", mininterval=2, delay=2))
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


@torch.inference_mode()
def report(reader: LatentReader, clean: Tensor, kinds: np.ndarray, alpha_bars: Tensor) -> None:
    """Print for some times of how many kinds that are there the right number is read, and how many things that are not."""
    true = torch.from_numpy(numbers_of_kinds(kinds))
    for t in TIMES:
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(t)).to(clean)
        at = torch.full((len(clean),), t, device=clean.device)
        noisy, _ = diffusion_target(clean, noise, alpha_bars[at], "v_prediction")
        said = torch.cat([counted(reader(z, a)["kind"]) for z, a in zip(noisy.split(32), at.split(32))]).round().cpu()
        right, extra = (said == true)[true > 0].float().mean(), (said * (true == 0)).sum(1).mean()
        tqdm.write(
            f"t = {t}: of kinds there the right number {right:.3f}, things that are not there {extra:.2f} a picture"
        )


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.training.train_latent_reader", __doc__)
    add_run_options(parser, LATENT_READERS)
    parser.add_argument(
        "--model", required=True, metavar="NAME|FOLDER", help="the finished model whose latents it reads"
    )
    parser.add_argument(
        "--init", type=Path, default=None, metavar="FILE", help="an earlier reader.safetensors to go on from"
    )

    def work(arguments: argparse.Namespace) -> bool:
        config, device = LATENT_READERS[arguments.recipe], choose_device(arguments.device)
        return train(config, arguments.model, arguments.out, device, arguments.minutes, init=arguments.init)

    return run_command(parser, argv, work)


if __name__ == "__main__":
    raise SystemExit(main())
