"""What training on the device decides beside the recipes of its stages: how much is kept there, and how captions are told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..config import (
    AUTOENCODERS,
    CONTROLS,
    DENOISERS,
    TEXT_ENCODERS,
    TURBOS,
    AutoencoderConfig,
    ControlConfig,
    DenoiserConfig,
    TextEncoderConfig,
    TurboConfig,
)

STAGES = ("text", "decoder", "denoiser", "turbo", "control")  # in the order in which they are taught


@dataclass(frozen=True)
class ResidentRecipe:
    """A recipe a stage, and the sizes that a device's memory decides: about 18 GB where each is full."""

    text: TextEncoderConfig
    decoder: AutoencoderConfig
    denoiser: DenoiserConfig
    turbo: TurboConfig
    control: ControlConfig
    text_batch: int = 1_024  # captions a step
    captions: int = 8  # ways to say each picture
    latents: int = 600_000  # pictures kept as latents, with their captions and masks
    pictures: int = 40_000  # of these, as pixels too, which the decoder learns from
    silhouettes: int = 60_000  # of these, with a silhouette
    heard: int = 2_000_000  # captions without pictures, which the text encoder learns from
    first: int = 10_000  # latents that are there before the denoiser begins
    chunk: int = 32  # pictures a job of a worker


SCENES = DENOISERS["scenes-gpu"]
# Every term of the loss that is rehearsed, in a network that a CPU trains.
REHEARSED = replace(
    DENOISERS["tiny"],
    optimizer="muon",
    attention=(True, True),
    pooled_caption=False,
    thing_weight=SCENES.thing_weight,
    mask_weight=SCENES.mask_weight,
    layout_weight=SCENES.layout_weight,
    attribute_dropout=SCENES.attribute_dropout,
)
RESIDENTS = {
    "scenes-gpu": ResidentRecipe(
        TEXT_ENCODERS["scenes-gpu"], AUTOENCODERS["scenes-gpu"], SCENES, TURBOS["scenes-gpu"], CONTROLS["scenes-gpu"]
    ),
    "tiny": ResidentRecipe(
        TEXT_ENCODERS["tiny"],
        AUTOENCODERS["tiny"],
        REHEARSED,
        TURBOS["tiny"],
        CONTROLS["tiny"],
        text_batch=8,
        captions=2,
        latents=200,
        pictures=32,
        silhouettes=64,
        heard=4_000,
        first=8,
        chunk=4,
    ),
}
