"""The model families: what a checkpoint of each is made of, how it conditions, how its network is called.

A family is an object here and nothing elsewhere: reading, loading, LoRA and the page ask it. A new one is a class below,
its conditioner and denoiser, and a row in FAMILIES.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from diffusers import ModelMixin, SD3Transformer2DModel, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

from . import schedulers
from .checks import check_truth, shown
from .conditioning import ClipConditioner, ClipsAndT5Conditioner, Conditioner, TextEncoder, TwoClipsConditioner
from .denoisers import (
    Denoiser,
    SizedUnetDenoiser,
    TransformerDenoiser,
    UnetDenoiser,
    UpscalingUnetDenoiser,
    predicted_channels,
)


class TextPart(NamedTuple):
    """A text encoder's folder and class, its tokenizer's folder and class."""

    encoder: str
    encoder_class: type
    tokenizer: str
    tokenizer_class: type


class Family(ABC):
    """What all families share, and their own facts below."""

    name: ClassVar[str]
    pipeline: ClassVar[str]  # diffusers' class, as model_index.json names it
    same_parts: ClassVar[tuple[str, ...]] = ()  # its classes for other tasks, whose folders hold the same parts
    denoiser_part: ClassVar[str]  # folder
    denoiser_class: ClassVar[type]
    text: ClassVar[tuple[TextPart, ...]]
    optional: ClassVar[frozenset[str]] = frozenset()  # text encoders that a checkpoint may leave out
    single_file_marks: ClassVar[dict[str, str]] = {}  # of an optional text encoder: how its keys begin in a single file
    not_drawing: ClassVar[dict[str, None]] = {}  # parts of diffusers' pipeline that draw nothing, for its constructor
    native_side: ClassVar[int]  # latent values along a side, where the denoiser's config does not say
    large_text: ClassVar[bool] = True  # text encoders so large that they go into bfloat16 with the denoiser
    scheduler_kind: ClassVar[str] = schedulers.DIFFUSION
    noising: ClassVar[str] = ""  # folder of the scheduler by which a given image is made noisy, where there is one
    pace: ClassVar[tuple[int, float] | None] = None  # steps and w of its pipeline, where they are not the usual ones
    scaling_factor: ClassVar[float | None] = None  # of its latents, whatever the autoencoder's config says

    def scheduler_config(self, config: Mapping) -> dict:
        """A checkpoint's scheduler config as diffusers' pipeline of the family takes it."""
        return dict(config)

    def refusal(self, denoiser: ModelMixin) -> str:
        """Why a denoiser's config asks for inputs that the family has none of; empty where it does not."""
        given, taken = predicted_channels(denoiser), denoiser.config.in_channels
        if taken not in (given, 2 * given + 1):
            return (
                f"out_channels is {given} and in_channels {taken}: a network is run that predicts as many as it takes, or "
                f"for inpainting takes {2 * given + 1}, latent, mask and masked latent"
            )
        return ""

    def text_encoders(self, parts: Mapping, placed: torch.device, dtype: torch.dtype) -> list[TextEncoder]:
        """Those that the checkpoint has, on a device, beside a denoiser of that precision."""
        own = torch.bfloat16 if self.large_text and dtype == torch.bfloat16 else torch.float32
        return [
            TextEncoder(parts[part.tokenizer], parts[part.encoder].to(placed, own), self.length_of(part))
            for part in self.text
            if part.encoder in parts
        ]

    def length_of(self, part: TextPart) -> int | None:
        """Tokens that a text encoder takes; None: as its tokenizer and its positions have it."""
        return None

    @abstractmethod
    def conditioner(self, encoders: list[TextEncoder], index: Mapping, denoiser: ModelMixin) -> Conditioner:
        """From prompts to conditioning, as model_index.json and the denoiser's config have it."""

    @abstractmethod
    def denoiser(self, network: ModelMixin, factor: int, parts: Mapping, index: Mapping) -> Denoiser:
        """How the network is called; factor is pixels per latent value along a side, parts and index are the checkpoint's."""

    def native_size(self, denoiser: ModelMixin, factor: int) -> tuple[int, int]:
        """Height and width in pixels that a checkpoint was trained at."""
        sides = self._sides(denoiser)
        if isinstance(sides, int):
            sides = (sides, sides)
        if not (len(sides) == 2 and all(type(side) is int and side > 0 for side in sides)):
            raise ValueError(f"the denoiser's config has sample_size {sides}: a positive integer, or two, are needed")
        return sides[0] * factor, sides[1] * factor

    def _sides(self, denoiser: ModelMixin) -> int | tuple:
        sides = getattr(denoiser.config, "sample_size", None)
        if sides is None:
            return self.native_side
        if isinstance(sides, list | tuple):
            return tuple(sides)
        return sides if type(sides) is int else (sides,)


class UnetFamily(Family):
    """Those around the U-Net with cross-attention (Rombach et al. 2022)."""

    denoiser_part = "unet"
    denoiser_class = UNet2DConditionModel
    added_embedding: ClassVar[tuple[str | None, ...]] = (None, "text")  # beside time: of the text alone

    def refusal(self, denoiser: ModelMixin) -> str:
        """A U-Net may ask for class labels, images or other embeddings."""
        config = denoiser.config
        if config.class_embed_type is not None or config.num_class_embeds is not None:
            return "class_embed_type or num_class_embeds is set: it wants class labels, which no prompt gives"
        if config.addition_embed_type not in self.added_embedding:
            given = " or ".join(map(repr, self.added_embedding))
            return f"addition_embed_type is {config.addition_embed_type!r}; {self.name} has {given}"
        if config.encoder_hid_dim_type not in (None, "text_proj"):
            return f"encoder_hid_dim_type is {config.encoder_hid_dim_type!r}: it wants images beside the prompt"
        return super().refusal(denoiser)


class StableDiffusion(UnetFamily):
    """Stable Diffusion 1 and 2 (Rombach et al. 2022), and the models of this repository."""

    name = "sd"
    pipeline = "StableDiffusionPipeline"
    same_parts: ClassVar[tuple[str, ...]] = (
        "StableDiffusionImg2ImgPipeline",
        "StableDiffusionInpaintPipeline",
        "LatentConsistencyModelPipeline",
        "LatentConsistencyModelImg2ImgPipeline",
    )
    text = (TextPart("text_encoder", CLIPTextModel, "tokenizer", CLIPTokenizer),)
    not_drawing: ClassVar[dict[str, None]] = {"safety_checker": None, "feature_extractor": None}
    native_side = 64
    large_text = False

    def scheduler_config(self, config: Mapping) -> dict:
        """Old configs lack two values; diffusers' pipeline of this family mends them whatever they say."""
        return dict(config) | {"steps_offset": 1, "clip_sample": False}

    def conditioner(self, encoders: list[TextEncoder], index: Mapping, denoiser: ModelMixin) -> Conditioner:
        return ClipConditioner(*encoders)

    def denoiser(self, network: ModelMixin, factor: int, parts: Mapping, index: Mapping) -> Denoiser:
        return UnetDenoiser(network)

    def _sides(self, denoiser: ModelMixin) -> int | tuple:
        # Configs of before diffusers 0.9 said 32 where 64 was meant; diffusers' pipeline mends them by their version.
        sides, version = super()._sides(denoiser), str(getattr(denoiser.config, "_diffusers_version", "1.0"))
        old = version.startswith("0.") and version.split(".")[1].isdigit() and int(version.split(".")[1]) < 9
        return self.native_side if old and isinstance(sides, int) and sides < self.native_side else sides


class StableDiffusionUpscaler(StableDiffusion):
    """Stable Diffusion's x4 upscaler (Rombach et al. 2022, section 4.4): tasks/upscaling.py gives it the image."""

    name = "sd-upscaler"
    pipeline = "StableDiffusionUpscalePipeline"
    same_parts = ()
    not_drawing: ClassVar[dict[str, None]] = {"safety_checker": None, "feature_extractor": None, "watermarker": None}
    native_side = 128
    noising = "low_res_scheduler"
    pace = (75, 9.0)
    scaling_factor = 0.08333  # diffusers' pipeline sets it

    def scheduler_config(self, config: Mapping) -> dict:
        """As it is: diffusers' pipeline of this family mends nothing."""
        return dict(config)

    def refusal(self, denoiser: ModelMixin) -> str:
        """It takes an image of three channels beside the latent, and a class label."""
        config = denoiser.config
        if config.class_embed_type is not None or not config.num_class_embeds:
            return "num_class_embeds is not set, or class_embed_type is: the noise level is told as a plain class label"
        predicted = predicted_channels(denoiser)
        if config.in_channels != predicted + 3:
            given = f"out_channels is {predicted} and in_channels {config.in_channels}"
            return f"{given}: an upscaler takes the latent and an image of three channels"
        if config.addition_embed_type is not None or config.encoder_hid_dim_type is not None:
            return "addition_embed_type or encoder_hid_dim_type is set: it wants more than a text and an image"
        return ""

    def denoiser(self, network: ModelMixin, factor: int, parts: Mapping, index: Mapping) -> Denoiser:
        alpha_bars = getattr(schedulers.make_scheduler(parts[self.noising]), "alphas_cumprod", None)
        if alpha_bars is None:
            raise ValueError(f"{self.noising} is no schedule of noise levels: it has no alphas_cumprod")
        last = index.get("max_noise_level", 350)
        if type(last) is not int or last < 0:
            raise ValueError(f"model_index.json: max_noise_level must be an integer from 0, got {shown(last)}")
        noisiest = min(last, len(alpha_bars) - 1, network.config.num_class_embeds - 1)
        return UpscalingUnetDenoiser(network, alpha_bars.float(), noisiest)


class StableDiffusionXL(UnetFamily):
    """Stable Diffusion XL (Podell et al. 2023)."""

    name = "sdxl"
    pipeline = "StableDiffusionXLPipeline"
    same_parts = ("StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline")
    text = (
        TextPart("text_encoder", CLIPTextModel, "tokenizer", CLIPTokenizer),
        TextPart("text_encoder_2", CLIPTextModelWithProjection, "tokenizer_2", CLIPTokenizer),
    )
    optional = frozenset({"text_encoder"})
    native_side = 128
    added_embedding = ("text_time",)

    def conditioner(self, encoders: list[TextEncoder], index: Mapping, denoiser: ModelMixin) -> Conditioner:
        said = index.get("force_zeros_for_empty_prompt", True)
        zeros = said is not None and check_truth("model_index.json's force_zeros_for_empty_prompt", said)
        width = encoders[-1].network.config.projection_dim + 6 * denoiser.config.addition_time_embed_dim
        taken = denoiser.add_embedding.linear_1.in_features
        if width != taken:
            raise ValueError(
                f"the denoiser takes {taken} values beside the text, text_encoder_2 and sizes give {width}"
            )
        return TwoClipsConditioner(*encoders, zeros_for_none=zeros)

    def denoiser(self, network: ModelMixin, factor: int, parts: Mapping, index: Mapping) -> Denoiser:
        return SizedUnetDenoiser(network, factor)


class StableDiffusion3(Family):
    """Stable Diffusion 3 and 3.5 (Esser et al. 2024)."""

    name = "sd3"
    pipeline = "StableDiffusion3Pipeline"
    same_parts = ("StableDiffusion3Img2ImgPipeline", "StableDiffusion3InpaintPipeline")
    denoiser_part = "transformer"
    denoiser_class = SD3Transformer2DModel
    text = (
        TextPart("text_encoder", CLIPTextModelWithProjection, "tokenizer", CLIPTokenizer),
        TextPart("text_encoder_2", CLIPTextModelWithProjection, "tokenizer_2", CLIPTokenizer),
        TextPart("text_encoder_3", T5EncoderModel, "tokenizer_3", T5TokenizerFast),
    )
    optional = frozenset({"text_encoder_3"})
    single_file_marks: ClassVar[dict[str, str]] = {"text_encoder_3": "text_encoders.t5xxl."}
    native_side = 128
    scheduler_kind = schedulers.FLOW

    def length_of(self, part: TextPart) -> int | None:
        return ClipsAndT5Conditioner.T5_TOKENS if part.encoder in self.optional else None

    def conditioner(self, encoders: list[TextEncoder], index: Mapping, denoiser: ModelMixin) -> Conditioner:
        return ClipsAndT5Conditioner(*encoders, width=denoiser.config.joint_attention_dim)

    def denoiser(self, network: ModelMixin, factor: int, parts: Mapping, index: Mapping) -> Denoiser:
        return TransformerDenoiser(network)


FAMILIES: dict[str, Family] = {
    pipeline: family
    for family in (StableDiffusion(), StableDiffusionUpscaler(), StableDiffusionXL(), StableDiffusion3())
    for pipeline in (family.pipeline, *family.same_parts)
}


def family_of(index: Mapping, name: str) -> Family:
    """The family that a model_index.json names."""
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str) or pipeline not in FAMILIES:
        raise ValueError(f"model {name!r} is a {pipeline}; this version runs {', '.join(FAMILIES)} folders")
    return FAMILIES[pipeline]


def scheduler_names(family_name: str) -> list[str]:
    """Readable names of the schedulers that models of a family (ModelSpec.family) are usually drawn with."""
    kind = next((family.scheduler_kind for family in FAMILIES.values() if family.name == family_name), None)
    return schedulers.names_of(kind or schedulers.DIFFUSION)
