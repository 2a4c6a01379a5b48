"""Stage 2: train a denoiser and its text encoder on the latents of a finished autoencoder.

    python -m ldm_core.training.train_denoiser scenes-cpu --autoencoder runs/scenes-autoencoder/vae --out runs/scenes

The same command resumes; Ctrl-C saves first. OUT/model is a diffusers folder of the averaged weights so far, renewed
with each sample sheet: `ldm_core.load("OUT/model")` and diffusers' StableDiffusionPipeline both take it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ..loading import choose_device, load_autoencoder
from . import attention, losses, wording
from .command import add_run_options, run_command
from .config import DENOISERS, DenoiserConfig
from .corpus import Corpus, load_corpus
from .folder import MODEL_INDEX as MODEL_INDEX
from .folder import save_model, save_sheet
from .reading import learn_to_read
from .tokenizer import SUFFIX, tokenizer_for
from .train_autoencoder import mean_of, to_model_range
from .trainer import Trainer, averaged

SHEET_PROMPTS = {
    "scenes": ("a red house on the left and a pine tree on the right, mountains, in a snowy field at night",
               "a boat with a yellow sail in the center and a sun on the right, on a lake at sunset",
               "a purple hot air balloon in the center and clouds, in a desert on a sunny day",
               "night sky over a little yellow house by the lake",
               "a palm tree on the left and an orange house on the right, in a desert at dawn",
               "mountains, a blue house in the center and the sun on the left, on a green meadow on a clear day"),
    "everyday": ("a cat", "a dog and a red car on the street at night", "three sheep and a house in the snow",
                 "a woman with a yellow umbrella in the rain", "a child riding a brown horse on the beach",
                 "two cups on a table in a room", "a purple truck", "an airplane above mountains at sunset"),
    "fashion": ("a photo of an ankle boot", "a photo of a bag", "a photo of a dress", "a photo of a sneaker"),
}  # fmt: skip


def build(config: DenoiserConfig, latent_channels: int, tokenizer: CLIPTokenizer, latent_size: int) -> nn.ModuleDict:
    """The untrained denoiser and text encoder of a recipe."""
    down = ["CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in config.attention]
    up = [name.replace("Down", "Up") for name in reversed(down)]
    unet = UNet2DConditionModel(
        sample_size=latent_size, in_channels=latent_channels, out_channels=latent_channels,
        block_out_channels=config.channels, layers_per_block=config.layers_per_block, down_block_types=tuple(down),
        up_block_types=tuple(up), attention_head_dim=config.heads, cross_attention_dim=config.text_width,
        resnet_time_scale_shift="scale_shift", addition_embed_type="text" if config.pooled_caption else None,
        addition_embed_type_num_heads=max(1, config.text_width // 32),
    )  # fmt: skip
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=config.text_width, intermediate_size=4 * config.text_width,
        num_hidden_layers=config.text_layers, num_attention_heads=max(1, config.text_width // 32),
        max_position_embeddings=config.text_tokens, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, projection_dim=config.text_width,
    )  # fmt: skip
    return nn.ModuleDict({"unet": unet, "text_encoder": CLIPTextModel(text)})


def train(
    config: DenoiserConfig, autoencoder: Path, folder: Path, device: str, data_folder: Path | None = None,
    init: Path | None = None, minutes: float | None = None,
) -> bool:  # fmt: skip
    """Train to the end (True) or to Ctrl-C (False); folder/model holds the averaged weights.

    `init` is a model of the same shape to go on from in place of random weights; where it has no U-Net yet, its text
    encoder is taken, which has learned to read.
    """
    torch.manual_seed(config.seed)
    vae = load_autoencoder(autoencoder).vae
    corpus = load_corpus(config.data, config.pool, config.image_size, data_folder)
    tokenizer = tokenizer_for(corpus.words, config.text_tokens, init)
    scheduler = noise_schedule(config)
    size = config.image_size // 2 ** (len(vae.config.block_out_channels) - 1)
    module = build(config, vae.config.latent_channels, tokenizer, size)
    if init is not None:
        start_from(module, init)
    elif config.reading_steps:
        read_first(module["text_encoder"], tokenizer, corpus, config, folder, device)
    module["text_encoder"].requires_grad_(config.reading_steps == 0)
    trainer = Trainer(module, config, folder, config.warmup_steps, device, minutes)
    latents = cached_latents(vae, corpus.images, folder / "latents.npy", device)
    lesson = Lesson(trainer.module, tokenizer, corpus, latents, scheduler, config, device)

    def sample(path: Path) -> None:
        save_model(folder / "model", trainer.module, vae, tokenizer, scheduler, corpus.words, config.data)
        save_sheet(folder / "model", SHEET_PROMPTS[config.data], path, device)

    finished = trainer.run(lesson.loss, sample)
    if finished:
        with averaged(trainer) as module:
            save_model(folder / "model", module, vae, tokenizer, scheduler, corpus.words, config.data)
    return finished


class Lesson:
    """What one step teaches: the loss of the recipe on a batch that depends on the step alone."""

    def __init__(self, module: nn.ModuleDict, tokenizer: CLIPTokenizer, corpus: Corpus, latents: np.ndarray,
                 scheduler: DDIMScheduler, config: DenoiserConfig, device: str):  # fmt: skip
        self.module, self.tokenizer, self.corpus, self.latents = module, tokenizer, corpus, latents
        self.config, self.device = config, device
        self.alpha_bars = scheduler.alphas_cumprod.to(device)
        self.maps = attention.keep_maps(module["unet"]) if config.mask_weight else []
        self.named = {tokenizer.convert_tokens_to_ids(word + SUFFIX): name for word, name in corpus.names.items()}

    def loss(self, step: int) -> Tensor:
        """The weighted squared error, and the terms that the recipe adds to it."""
        config = self.config
        latent, captions, pictures = batch_of(self.latents, self.corpus, config, step)
        clean, generator = latent.to(self.device), torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        noise = torch.randn(clean.shape, generator=generator).to(self.device)
        t = losses.timesteps(len(clean), len(self.alpha_bars), config.time_sampling, generator).to(self.device)
        noisy, target = losses.diffusion_target(clean, noise, self.alpha_bars[t], config.prediction_type)
        tokens = self.tokens_of(captions)
        self.maps.clear()
        prediction = self.predict(noisy, t, tokens)
        error = (prediction - target).square().mean(dim=(1, 2, 3))
        if config.min_snr_gamma:
            error = error * losses.min_snr_weight(self.alpha_bars[t], config.min_snr_gamma, config.prediction_type)
        loss = error.mean()
        if config.mask_weight:
            loss = loss + config.mask_weight * self.attention_outside(tokens, pictures)
        if config.composition_weight:
            rng = np.random.default_rng((config.seed, step, 1))
            loss = loss + config.composition_weight * self.composition_gap(prediction, noisy, t, captions, rng)
        return loss

    def tokens_of(self, captions: list[str]) -> Tensor:
        """Token ids (B, T), padded to the longest prompt."""
        told = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        return told.input_ids.to(self.device)

    def predict(self, noisy: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """What the denoiser says, float32 (B, C, h, w)."""
        with torch.autocast(self.device, torch.bfloat16), attention_for_training(self.device):
            text = self.module["text_encoder"](tokens).last_hidden_state
            return self.module["unet"](noisy, t, encoder_hidden_states=text).sample.float()

    def attention_outside(self, tokens: Tensor, pictures: list[int]) -> Tensor:
        """The mean over the cross-attentions of the attention that words pay to where the things they name are not."""
        masks, counted = masks_of_tokens(tokens, [self.corpus.masks(i) for i in pictures], self.named)
        return torch.stack([losses.attention_outside(each, masks, counted) for each in self.maps]).mean()

    def composition_gap(self, prediction: Tensor, noisy: Tensor, t: Tensor, captions: list[str],
                        rng: np.random.Generator) -> Tensor:  # fmt: skip
        """On a quarter of the batch: whether a colour and a kind act independently on what is predicted."""
        words = self.corpus.colours, self.corpus.nouns
        apart = {row: wording.taken_apart(text, *words, rng) for row, text in enumerate(captions)}
        rows = [row for row, parts in apart.items() if parts][: len(captions) // 4]
        if not rows:
            return prediction.new_zeros(())
        tokens = self.tokens_of([apart[row][part] for part in range(3) for row in rows])
        parts = self.predict(noisy[rows].repeat(3, 1, 1, 1), t[rows].repeat(3), tokens).chunk(3)
        return losses.composition_gap(prediction[rows], *parts)


def masks_of_tokens(tokens: Tensor, masks: list[dict[str, np.ndarray]], named: dict[int, str]) -> tuple[Tensor, Tensor]:
    """A mask (h, w) for each token of (B, T), and whether the token names anything that is in its picture."""
    side = next((len(mask) for each in masks for mask in each.values()), 1)
    inside, counted = torch.zeros(*tokens.shape, side, side), torch.zeros(tokens.shape)
    for row, (line, known) in enumerate(zip(tokens.tolist(), masks)):
        for column, token in enumerate(line):
            if (name := named.get(token)) in known:
                inside[row, column] = torch.from_numpy(known[name])
                counted[row, column] = 1.0
    return inside.to(tokens.device), counted.to(tokens.device)


def attention_for_training(device: str) -> AbstractContextManager:
    """On a CPU the plain product beats the fused kernel, whose backward pass is slow: a fifth of a step saved."""
    return sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()


def read_first(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, corpus: Corpus, config: DenoiserConfig, folder: Path,
               device: str) -> None:  # fmt: skip
    """Teach the text encoder, or take what the folder's earlier start has taught it."""
    path = folder / "text_encoder.safetensors"
    if not path.exists():
        read = learn_to_read(encoder, tokenizer, corpus, config.reading_steps, device)
        tqdm.write(f"The text encoder reads {read:.1%} of captions without a mistake.")
        folder.mkdir(parents=True, exist_ok=True)
        save_file(encoder.state_dict(), path)
    encoder.load_state_dict(load_file(path))


def start_from(module: nn.ModuleDict, folder: Path) -> None:
    """Give the module the weights of an earlier model, or where there is no U-Net yet those of its text encoder."""
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", torch_dtype=torch.float32)
    try:
        module["text_encoder"].load_state_dict(encoder.state_dict())
        if (folder / "unet").exists():
            unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
            module["unet"].load_state_dict(unet.state_dict())
    except RuntimeError:
        raise ValueError(f"--init {folder} has another shape than this recipe builds") from None


def noise_schedule(config: DenoiserConfig) -> DDIMScheduler:
    """The forward process, and the folder's own sampler. Sampling starts from pure noise where v is predicted; an
    epsilon model has nothing to go by there (Lin et al. 2024), so its timesteps begin a little later."""
    return DDIMScheduler(
        num_train_timesteps=1000, beta_schedule=config.beta_schedule, prediction_type=config.prediction_type,
        clip_sample=False, set_alpha_to_one=True,
        timestep_spacing="trailing" if config.prediction_type == "v_prediction" else "leading",
    )  # fmt: skip


def batch_of(
    latents: np.ndarray, corpus: Corpus, config: DenoiserConfig, step: int
) -> tuple[Tensor, list[str], list[int]]:
    """Latents (B, C, h, w), a caption each, a share of them dropped, and which pictures; all depend on the step alone."""
    rng = np.random.default_rng((config.seed, step))
    chosen = rng.integers(len(latents), size=config.batch)
    dropped = rng.random(config.batch) < config.caption_dropout
    captions = ["" if drop else corpus.caption(int(i), step) for i, drop in zip(chosen, dropped)]
    if config.attribute_dropout:
        settings = (corpus.colours, corpus.nouns, config.attribute_dropout, rng)
        captions = [wording.less_one_attribute(text, *settings) for text in captions]
    return torch.from_numpy(latents[chosen]).float(), captions, [int(i) for i in chosen]


@torch.inference_mode()
def cached_latents(vae: nn.Module, images: Sequence[np.ndarray], path: Path, device: str) -> np.ndarray:
    """Scaled posterior means of all training images, float16 (N, C, h, w); kept at `path` for a resumed run."""
    if path.exists() and len(known := np.load(path, mmap_mode="r")) == len(images):
        return known
    vae = vae.to(device)
    latents = []
    for start in tqdm(range(0, len(images), 32), desc="encoding", unit="batch", mininterval=2):
        batch = to_model_range(np.stack(images[start : start + 32])).to(device)
        with torch.autocast(device, torch.bfloat16):
            mean = mean_of(vae, batch)
        latents.append((mean.float() * vae.config.scaling_factor).half().cpu().numpy())
    np.save(path, np.concatenate(latents))
    return np.concatenate(latents)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ldm_core.training.train_denoiser", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    add_run_options(parser, DENOISERS)
    parser.add_argument("--autoencoder", type=Path, required=True, metavar="FOLDER", help="a finished stage 1, OUT/vae")
    parser.add_argument(
        "--init", type=Path, default=None, metavar="FOLDER", help="a model to start from: more steps for it"
    )
    arguments = parser.parse_args(argv)
    config, device = DENOISERS[arguments.recipe], arguments.device
    return run_command(
        parser,
        lambda: train(
            config, arguments.autoencoder, arguments.out, choose_device(device), arguments.data, arguments.init,
            arguments.minutes,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
