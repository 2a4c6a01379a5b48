"""A trained model as a folder: an ordinary Stable Diffusion one, of fp16 weights in shards below 9 MB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffusers import SchedulerMixin, UNet2DConditionModel
from peft import get_peft_model_state_dict
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from ..adapted import BASE, LAYERS, LORA
from ..checkpoint import portable, save_config
from ..loading import load
from ..schedulers import make_scheduler

MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def save_model(
    folder: Path,
    module: nn.ModuleDict,
    vae: Any,
    tokenizer: CLIPTokenizer,
    scheduler: SchedulerMixin,
    words: list[str],
    world: str,
) -> None:
    """Everything that diffusers' pipeline expects. The index also names the world that the model was trained on, from
    which the evaluation knows what to measure."""
    save_unet(folder, module["unet"], vae, scheduler, world)
    save_text_encoder(folder, module["text_encoder"], tokenizer, words)
    save_half(vae, folder / "vae")


def save_unet(folder: Path, unet: UNet2DConditionModel, vae: Any, scheduler: SchedulerMixin, world: str) -> None:
    """The part that draws: unet/ and scheduler/, and the index, which says of what class the autoencoder is."""
    save_half(unet, folder / "unet")
    scheduler.save_pretrained(folder / "scheduler")
    index = MODEL_INDEX | {"vae": ["diffusers", type(vae).__name__], "_world": world}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def save_half(network: Any, folder: Path) -> None:
    """A network of diffusers' in fp16, in shards below 9 MB."""
    half = type(network).from_config(portable(network.config)).half()
    half.load_state_dict(network.state_dict())
    half.save_pretrained(folder, max_shard_size="9MB")


def save_adapted(
    folder: Path, student: UNet2DConditionModel, base: str, scheduler_config: dict[str, Any], world: str
) -> None:
    """What a U-Net with a low-rank adapter has that its base, a registry name or folder, has not (see ..adapted), in fp16."""
    save_config(student, folder / "unet")
    changes = {
        f"unet.{name}": value.half().cpu().contiguous() for name, value in get_peft_model_state_dict(student).items()
    }
    save_file(
        changes, folder / LORA, {"format": "pt"}
    )  # as diffusers names them; alpha is the rank, so that the scale is 1
    own = {"time_embedding.cond_proj.weight": student.time_embedding.cond_proj.weight.detach().half().cpu()}
    save_file(own, folder / "unet" / LAYERS)
    make_scheduler(scheduler_config, "ddim").save_pretrained(folder / "scheduler")
    index = {"_class_name": "StableDiffusionPipeline", BASE: base, "_world": world}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def save_text_encoder(folder: Path, encoder: CLIPTextModel, tokenizer: CLIPTokenizer, words: list[str]) -> None:
    """The two parts that read: text_encoder/ and tokenizer/, with the list of all words that captions hold."""
    text = CLIPTextModel(encoder.config).half()
    text.load_state_dict(encoder.state_dict())
    text.save_pretrained(folder / "text_encoder", max_shard_size="9MB")
    tokenizer.save_pretrained(folder / "tokenizer")
    (folder / "tokenizer" / "words.txt").write_text("\n".join(words) + "\n")


def save_sheet(folder: Path, prompts: tuple[str, ...], path: Path, device: str) -> None:
    """A column per prompt; guidance scales 1 and 4 below each other."""
    model = load(str(folder), device=device, engine="torch")
    cells = model.sweep(list(prompts), seeds=list(range(len(prompts))), guidance_scales=[1, 4], steps=20)
    rows = (cells * 255).round().byte().permute(0, 3, 1, 4, 2).flatten(2, 3)  # (scales, H, prompts * W, 3)
    Image.fromarray(rows.flatten(0, 1).numpy()).save(path)
