"""Stage 2: train a denoiser and its text encoder on the latents of a finished autoencoder.

    python -m ldm_core.training.train_denoiser scenes-cpu --autoencoder runs/scenes-autoencoder/vae --out runs/scenes

The same command resumes; Ctrl-C saves first. OUT/model is a diffusers folder of the averaged weights so far, renewed
with each sample sheet: `ldm_core.load("OUT/model")` and diffusers' StableDiffusionPipeline both take it.
"""

from __future__ import annotations

import argparse
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ..loading import choose_device, load, load_autoencoder
from . import losses
from .command import add_run_options, run_command
from .config import DENOISERS, DenoiserConfig
from .corpus import Corpus, load_corpus
from .reading import learn_to_read
from .tokenizer import build_tokenizer
from .train_autoencoder import to_model_range
from .trainer import Trainer, averaged

SHEET_PROMPTS = {
    "scenes": ("a red house on the left and a pine tree on the right, mountains, in a snowy field at night",
               "a boat with a yellow sail in the center and a sun on the right, on a lake at sunset",
               "a purple hot air balloon in the center and clouds, in a desert on a sunny day",
               "night sky over a little yellow house by the lake",
               "a palm tree on the left and an orange house on the right, in a desert at dawn",
               "mountains, a blue house in the center and the sun on the left, on a green meadow on a clear day"),
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
        resnet_time_scale_shift="scale_shift", addition_embed_type="text",
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
    init: Path | None = None,
) -> bool:  # fmt: skip
    """Train to the end (True) or to Ctrl-C (False); folder/model holds the averaged weights.

    `init` is a model of the same shape to start from in place of random weights.
    """
    torch.manual_seed(config.seed)
    vae = load_autoencoder(autoencoder).vae
    corpus = load_corpus(config.data, config.pool, config.image_size, data_folder)
    tokenizer = build_tokenizer(corpus.words, config.text_tokens)
    scheduler = noise_schedule(config)
    size = config.image_size // 2 ** (len(vae.config.block_out_channels) - 1)
    module = build(config, vae.config.latent_channels, tokenizer, size)
    if init is not None:
        start_from(module, init)
    elif config.reading_steps:
        read_first(module["text_encoder"], tokenizer, corpus, config, folder, device)
    module["text_encoder"].requires_grad_(config.reading_steps == 0)
    trainer = Trainer(module, config, folder, config.warmup_steps, device)
    latents = cached_latents(vae, corpus.images, folder / "latents.npy", device)
    alpha_bars = scheduler.alphas_cumprod.to(device)

    def loss_of(step: int) -> Tensor:
        latent, captions = batch_of(latents, corpus, config, step)
        clean, generator = latent.to(device), torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        t = torch.randint(len(alpha_bars), (len(clean),), generator=generator).to(device)
        noisy, target = losses.diffusion_target(clean, noise, alpha_bars[t], config.prediction_type)
        tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids.to(device)
        with torch.autocast(device, torch.bfloat16), attention_for_training(device):
            text = trainer.module["text_encoder"](tokens).last_hidden_state
            prediction = trainer.module["unet"](noisy, t, encoder_hidden_states=text).sample
        return (prediction.float() - target).square().mean()

    def sample(path: Path) -> None:
        save_model(folder / "model", trainer.module, vae, tokenizer, scheduler, corpus.words, config.data)
        save_sheet(folder / "model", SHEET_PROMPTS[config.data], path, device)

    finished = trainer.run(loss_of, sample)
    if finished:
        with averaged(trainer) as averages:
            save_model(folder / "model", averages, vae, tokenizer, scheduler, corpus.words, config.data)
    return finished


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
    """Give the module the weights of a finished model."""
    model = load(str(folder), device="cpu", dtype="float32")
    try:
        module["unet"].load_state_dict(model.denoiser.network.state_dict())
        module["text_encoder"].load_state_dict(model.conditioner.text_encoders[0].network.state_dict())
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


def batch_of(latents: np.ndarray, corpus: Corpus, config: DenoiserConfig, step: int) -> tuple[Tensor, list[str]]:
    """Latents (B, C, h, w) and a caption each, a share of them dropped; they depend on the step alone."""
    rng = np.random.default_rng((config.seed, step))
    chosen = rng.integers(len(latents), size=config.batch)
    dropped = rng.random(config.batch) < config.caption_dropout
    captions = ["" if drop else corpus.caption(int(i), step) for i, drop in zip(chosen, dropped)]
    return torch.from_numpy(latents[chosen]), captions


@torch.inference_mode()
def cached_latents(vae: AutoencoderKL, images: np.ndarray, path: Path, device: str) -> np.ndarray:
    """Scaled posterior means of all training images, float32 (N, C, h, w); kept at `path` for a resumed run."""
    if path.exists() and len(known := np.load(path)) == len(images):
        return known
    vae = vae.to(device)
    latents = []
    for start in tqdm(range(0, len(images), 32), desc="encoding", unit="batch", mininterval=2):
        batch = to_model_range(images[start : start + 32]).to(device)
        with torch.autocast(device, torch.bfloat16):
            posterior = vae.encode(batch).latent_dist
        latents.append((posterior.mean.float() * vae.config.scaling_factor).cpu().numpy())
    np.save(path, np.concatenate(latents))
    return np.concatenate(latents)


def save_model(folder: Path, module: nn.ModuleDict, vae: AutoencoderKL, tokenizer: CLIPTokenizer,
               scheduler: DDIMScheduler, words: list[str], world: str) -> None:  # fmt: skip
    """A Stable Diffusion folder of fp16 weights in shards below 9 MB, as diffusers' pipeline expects it.

    Its index also names the world that it was trained on, from which the evaluation knows what to measure.
    """
    state = {name: value.half() for name, value in module["unet"].state_dict().items()}
    unet = UNet2DConditionModel.from_config(module["unet"].config).half()
    unet.load_state_dict(state)
    unet.save_pretrained(folder / "unet", max_shard_size="9MB")
    text = CLIPTextModel(module["text_encoder"].config).half()
    text.load_state_dict(module["text_encoder"].state_dict())
    text.save_pretrained(folder / "text_encoder", max_shard_size="9MB")
    half = AutoencoderKL.from_config(vae.config).half()
    half.load_state_dict(vae.state_dict())
    half.save_pretrained(folder / "vae", max_shard_size="9MB")
    tokenizer.save_pretrained(folder / "tokenizer")
    (folder / "tokenizer" / "words.txt").write_text("\n".join(words) + "\n")
    scheduler.save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(MODEL_INDEX | {"_world": world}, indent=2) + "\n")


MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline", "feature_extractor": [None, None], "image_encoder": [None, None],
    "requires_safety_checker": False, "safety_checker": [None, None], "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
}  # fmt: skip


def save_sheet(folder: Path, prompts: tuple[str, ...], path: Path, device: str) -> None:
    """A column per prompt; guidance scales 1 and 4 below each other."""
    model = load(str(folder), device=device)
    cells = model.sweep(list(prompts), seeds=list(range(len(prompts))), guidance_scales=[1, 4], steps=20)
    rows = (cells * 255).round().byte().permute(0, 3, 1, 4, 2).flatten(2, 3)  # (scales, H, prompts * W, 3)
    Image.fromarray(rows.flatten(0, 1).numpy()).save(path)


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
            config, arguments.autoencoder, arguments.out, choose_device(device), arguments.data, arguments.init
        ),
    )


if __name__ == "__main__":
    raise SystemExit(main())
