"""The named training recipes: everything that decides a trained model, and nothing else.

`scenes-cpu` is the embedded model, 256 pixels and 16 x 16 x 16 latents, in three stages, which two cores manage in two days;
`scenes-decoder` goes on with the decoder alone; `scenes-gpu` goes on with all of the model in a quarter of an hour of a large
GPU (train_resident.py, whose seconds end a stage; the steps here are those that an H200 took);
`fashion` is the small build for one free GPU: f=4 latents, 12 000 steps, AdamW at 1e-4, EMA 0.995, cosine schedule;
`fashion-cpu` makes in half an hour on two cores the one that ships.
`photo-f4`, `photo-f8`, `photo-f16` are autoencoders for a folder of photographs, each keeping fewer values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class AutoencoderConfig:
    """Stage 1: a KL autoencoder (Rombach et al. 2022, section 3.1)."""

    data: str = "everyday"  # everyday | fashion | photos
    image_size: int = 128  # pixels
    channels: tuple[int, ...] = (16, 32, 64, 128)  # one entry per resolution: f = 2 ** (len - 1)
    layers_per_block: int = 1
    latent_channels: int = 4
    norm_groups: int = 8
    pool: int = 12_000  # training images kept in memory
    crop_size: int = 64  # pixels; most steps see crops, the last ones whole images
    crop_line: int = 1  # pixels: crops begin at multiples of it; f, where the drawings stand on a grid of f pixels
    crop_steps: int = 2_600
    crop_batch: int = 32
    whole_steps: int = 400
    whole_batch: int = 10
    learning_rate: float = 2e-3  # peak; linear warm-up, then a cosine to zero
    warmup_steps: int = 0  # 0: a twentieth of all steps
    weight_decay: float = 0.0
    mse_weight: float = 6.0  # beside L1: large errors, such as a lost colour, count most
    kl_weight: float = 1e-6  # on the sum over latent values: keeps z near N(0, 1) at little cost in detail
    gradient_weight: float = 0.5  # on the L1 distance between image gradients: keeps edges crisp
    ema_decay: float = 0.995
    # 0: an AutoencoderKL, which says each latent's variance itself. Above: an AutoencoderDC, one variance for all.
    posterior_std: float = 0.0
    channel_weight: float = 0.0  # on each latent channel being N(0, 1) over a batch, as the denoiser's noise is
    equivariance_weight: float = 0.0  # on decoding latents at half the size to images at half the size
    optimizer: str = "adamw"  # adamw | muon
    # Whether the encoder stays as --init brings it: only the decoder learns, and denoisers of these latents stay right.
    frozen_encoder: bool = False
    start_from: str = ""  # an embedded autoencoder of smaller f whose layers this one begins with, where they fit
    seed: int = 0

    @property
    def steps(self) -> int:
        return self.crop_steps + self.whole_steps


@dataclass(frozen=True)
class TextEncoderConfig:
    """Between the stages, where a world has many words: a small CLIP text encoder that learns to tell what is stated."""

    data: str = "everyday"
    width: int = 192
    layers: int = 4
    tokens: int = 64  # longest prompt, start and end included
    pool: int = 64  # pictures, of which none is looked at
    steps: int = 4_000  # of 128 captions each
    learning_rate: float = 2e-3  # peak; linear warm-up, then a cosine to zero
    weight_decay: float = 0.01
    optimizer: str = "muon"  # adamw | muon
    ema_decay: float = 0.998
    seed: int = 0


@dataclass(frozen=True)
class DenoiserConfig:
    """Stage 2: a text-conditioned U-Net on latents, with its own small CLIP text encoder.

    The caption enters twice: by cross-attention, and pooled with the time embedding, which scales and shifts every
    residual block (as in GLIDE, Nichol et al. 2021): a small model obeys far sooner for it.
    """

    data: str = "everyday"
    image_size: int = 128
    channels: tuple[int, ...] = (96, 160, 128)
    attention: tuple[bool, ...] = (False, True, False)  # per resolution; the middle block at 4x4 attends always
    heads: tuple[int, ...] = (3, 5, 4)  # 32 wide each: narrower heads are slow
    layers_per_block: int = 1
    text_width: int = 128
    text_layers: int = 3
    text_tokens: int = 64  # longest prompt, start and end included
    reading_steps: int = (
        1_500  # of 128 captions, before anything is drawn; the encoder is then frozen. 0: none, not frozen
    )
    pool: int = 20_000  # latents kept in memory; each is seen with many captions
    batch: int = 32
    steps: int = 8_000
    learning_rate: float = 8e-4  # peak; linear warm-up, then a cosine to zero
    warmup_steps: int = 100
    weight_decay: float = 0.01
    caption_dropout: float = 0.10  # share of captions replaced by "": what classifier-free guidance needs
    prediction_type: str = "v_prediction"  # v_prediction (Salimans & Ho 2022) | epsilon (Ho et al. 2020)
    beta_schedule: str = "squaredcos_cap_v2"  # the cosine schedule of Nichol & Dhariwal 2021
    shift: float = 1.0  # of the finished model's steps: above 1 more of them lie at noise (..spacing)
    ema_decay: float = 0.999
    optimizer: str = "adamw"  # adamw | muon
    time_sampling: str = "uniform"  # uniform | logit_normal | cubic
    min_snr_gamma: float = 0.0  # 0: all errors weigh alike
    pooled_caption: bool = True  # whether the caption also enters pooled: it acts everywhere then, not where a thing is
    # How much more the error counts in cells that things cover, times the share of the signal: backgrounds fill most of a picture,
    # and their rain and stars most of the error. Not while all is noise: where things are is unknown then, and would be wished for.
    thing_weight: float = 0.0
    mask_weight: float = 0.0  # on the attention that a word pays to where the thing it names is not (TokenCompose)
    layout_weight: float = 0.0  # on the layout being readable from the features that enter the last level (layout.py)
    attribute_dropout: float = 0.0  # share of captions in which one thing's colour, its noun or both are left out
    beside: float = 0.0  # share of the pictures of a batch that are picked among those of two things side by side
    shown: int = 0  # pictures of each withheld combination that are shown all the same
    composition_weight: float = 0.0  # on a colour and a kind acting other than independently (CoInD)
    wish_pull: float = (
        0.0  # length of the gradient of what a reader misses in drawings (wish_lesson.py); needs --reader
    )
    wish_batch: int = 16  # captions that are drawn for it
    wish_steps: int = 8  # in which they are
    seed: int = 0


@dataclass(frozen=True)
class ControlConfig:
    """After the stages: a T2I-Adapter (Mou et al. 2023) that makes a finished, frozen model draw into silhouettes."""

    data: str = "everyday"  # a world whose drawing program says where each thing is
    image_size: int = 128
    res_blocks: int = 2  # at each resolution; their widths are the U-Net's
    pool: int = 6_000  # latents and silhouettes kept in memory; each is seen with many captions
    batch: int = 16
    steps: int = 3_000
    learning_rate: float = 2e-3  # peak; linear warm-up, then a cosine to zero
    warmup_steps: int = 50
    weight_decay: float = 0.01
    optimizer: str = "muon"  # adamw | muon
    caption_dropout: float = 0.10  # guidance's unconditional prediction is controlled too
    attribute_dropout: float = 0.0  # share of captions in which one thing's colour, its noun or both are left out
    time_sampling: str = "cubic"  # uniform | logit_normal | cubic: where things stand is decided early
    ema_decay: float = 0.995
    seed: int = 0


@dataclass(frozen=True)
class LatentReaderConfig:
    """After the stages: a finished model's U-Net taught to say what noised latents show (latent_reader.py)."""

    data: str = "everyday"  # a world whose drawing program says where each thing is
    image_size: int = 128
    pool: int = 20_000  # latents kept in memory
    batch: int = 64
    steps: int = 2_000
    learning_rate: float = 1.5e-3  # peak; linear warm-up, then a cosine to zero
    warmup_steps: int = 30
    weight_decay: float = 0.02
    optimizer: str = "muon"  # adamw | muon
    last_time: int = 600  # of 1,000: drawings are noised a little before they are read
    ema_decay: float = 0.98
    seed: int = 0


@dataclass(frozen=True)
class TurboConfig:
    """After the stages: a finished model taught to draw in few steps, the guidance weight an input (train_turbo.py)."""

    data: str = "everyday"
    image_size: int = 128
    drawing_steps: int = 4  # of the finished turbo model
    teacher_steps: int = 8  # a multiple of these: each of them is taught as several of the teacher's
    least_weight: float = 1.0  # w is drawn evenly between the two
    most_weight: float = 6.0
    guidance_width: int = 64  # of the embedding of w
    rank: int = 16  # of the low-rank change of each layer
    pool: int = 8_000  # scenes whose captions are asked for, each in many wordings
    batch: int = 16
    steps: int = 6_000
    learning_rate: float = 1e-3  # peak; linear warm-up, then a cosine to zero
    warmup_steps: int = 50
    weight_decay: float = 0.0
    optimizer: str = "adamw"  # adamw | muon
    caption_dropout: float = 0.05  # so that no prompt at all is a prompt too
    attribute_dropout: float = 0.0
    wish_weight: float = (
        0.0  # on what a reader of latents misses in drawings of captions (wish_lesson.py); needs --reader
    )
    ema_decay: float = 0.995
    seed: int = 0


@dataclass(frozen=True)
class NetworkConfig:
    """What the training of any network asks for: for one that a study builds itself."""

    about: str = ""  # what else decides it, in words: a folder of another is refused
    steps: int = 1_000
    batch: int = 16
    learning_rate: float = 2e-3  # peak; linear warm-up, then a cosine to zero
    warmup_steps: int = 20
    weight_decay: float = 0.0
    optimizer: str = "adamw"  # adamw | muon
    ema_decay: float = 0.99
    seed: int = 0


Recipe = (
    AutoencoderConfig
    | TextEncoderConfig
    | DenoiserConfig
    | ControlConfig
    | LatentReaderConfig
    | TurboConfig
    | NetworkConfig
)

# Photographs are judged by PSNR, so the squared error weighs most.
PHOTOS = AutoencoderConfig(
    data="photos", image_size=176, pool=4_000, crop_steps=5_000, crop_batch=8, whole_steps=0,
    learning_rate=2e-3, mse_weight=30.0, gradient_weight=0.0, ema_decay=0.998, posterior_std=0.05,
)  # fmt: skip
# 48 times fewer values than pixels: 256 x 256 x 3 to 16 x 16 x 16. Judged by PSNR too.
SCENES_AUTOENCODER = AutoencoderConfig(
    image_size=256, channels=(24, 48, 96, 192, 192), latent_channels=16, posterior_std=0.05,
    crop_size=128, crop_line=16, whole_steps=0,
    learning_rate=2e-3, warmup_steps=150, optimizer="muon", mse_weight=20.0, channel_weight=0.01,
    equivariance_weight=0.25, ema_decay=0.999,
)  # fmt: skip
AUTOENCODERS = {
    "scenes-cpu": replace(SCENES_AUTOENCODER, pool=8_000, crop_batch=4, crop_steps=60_000),
    # When a denoiser learns the latents already. What only shapes these has no use then.
    "scenes-decoder": replace(
        SCENES_AUTOENCODER, pool=8_000, crop_batch=4, crop_steps=60_000, frozen_encoder=True, channel_weight=0.0,
        equivariance_weight=0.0,
    ),
    "scenes-gpu": replace(
        SCENES_AUTOENCODER, pool=40_000, crop_steps=0, whole_batch=24, whole_steps=5_144, learning_rate=1.2e-3,
        frozen_encoder=True, channel_weight=0.0, equivariance_weight=0.0,
    ),
    "fashion": AutoencoderConfig(
        data="fashion", image_size=32, channels=(32, 64, 96), pool=60_000, crop_size=32, crop_steps=0,
        whole_steps=4_000, whole_batch=128, learning_rate=1e-3,
    ),
    "fashion-cpu": AutoencoderConfig(
        data="fashion", image_size=32, channels=(16, 32, 64), pool=60_000, crop_size=32, crop_steps=0,
        whole_steps=3_000, whole_batch=64, learning_rate=2e-3,
    ),
    "photo-f4": replace(PHOTOS, channels=(24, 48, 96), latent_channels=6),
    "photo-f8": replace(PHOTOS, channels=(24, 48, 96, 192), latent_channels=12),
    "photo-f16": replace(
        PHOTOS,
        # A crop of 64 pixels would be a latent of 4 x 4, nearly all border. From scratch it learns ten times as slowly.
        channels=(24, 48, 96, 192, 192), latent_channels=24, start_from="photo-f8",
        crop_size=128, crop_batch=3, crop_steps=10_000, learning_rate=1e-3,
    ),
    "tiny": AutoencoderConfig(
        channels=(8, 8, 8, 8), pool=64, crop_steps=4, crop_batch=4, whole_steps=2, whole_batch=2,
    ),
}  # fmt: skip
TEXT_ENCODERS = {
    "scenes-cpu": TextEncoderConfig(),
    "scenes-gpu": TextEncoderConfig(steps=2_485, learning_rate=1.5e-3),
    "tiny": TextEncoderConfig(width=32, layers=1, steps=4),
}
# Its weights are what is left of the 80 MB that all embedded models share; a batch of 64, so that Muon's own work is small.
SCENES_DENOISER = DenoiserConfig(
    image_size=256, channels=(128, 192), heads=(4, 6), attention=(True, True), text_width=192, text_layers=4, pool=24_000,
    batch=64, steps=40_000, learning_rate=1e-3, warmup_steps=50, optimizer="muon", ema_decay=0.9995, pooled_caption=False,
    thing_weight=4.0, mask_weight=0.1, layout_weight=0.1, attribute_dropout=0.1, shift=4.0,
)  # fmt: skip
# A finished model goes on, with what is decided at noise: which of two things stands left. Captions tell it (everyday.told).
SCENES_ORDER = replace(
    SCENES_DENOISER, pool=20_000, steps=4_000, learning_rate=3e-4, warmup_steps=20, weight_decay=0.0, ema_decay=0.99,
    time_sampling="cubic", mask_weight=0.0, layout_weight=0.0, beside=0.35,
)  # fmt: skip
DENOISERS = {
    "scenes-cpu": SCENES_DENOISER,
    "scenes-gpu": replace(SCENES_DENOISER, pool=250_000, batch=512, steps=5_712, learning_rate=1.5e-3),
    "scenes-order": SCENES_ORDER,
    # A finished model goes on: what it draws is held against captions, and denoising keeps it to what drawings look like.
    "scenes-wishes": replace(
        SCENES_ORDER, batch=32, learning_rate=8e-5, optimizer="adamw", wish_pull=0.3, beside=0.25,
    ),
    "fashion": DenoiserConfig(
        data="fashion", image_size=32, channels=(64, 128, 192), heads=(2, 4, 6), attention=(False, True, True),
        text_tokens=24, reading_steps=0, pool=60_000, batch=128, steps=12_000, learning_rate=1e-4, warmup_steps=0,
        ema_decay=0.995, prediction_type="epsilon",
    ),
    "fashion-cpu": DenoiserConfig(
        data="fashion", image_size=32, channels=(96, 128), heads=(3, 4), attention=(False, True), text_tokens=24,
        text_layers=2, reading_steps=300, pool=60_000, batch=64, steps=5_000,
    ),
    "tiny": DenoiserConfig(
        channels=(32, 32), heads=(1, 1), attention=(False, True), text_width=32, text_layers=1, reading_steps=2, pool=32,
        batch=4, steps=4, warmup_steps=1,
    ),
}  # fmt: skip
CONTROLS = {
    # One block a resolution: two would be 1 MB more of the 80 that all embedded models share.
    "scenes-cpu": ControlConfig(image_size=256, res_blocks=1, pool=20_000, steps=10_000),
    "scenes-gpu": ControlConfig(image_size=256, res_blocks=1, pool=60_000, batch=192, steps=1_000),
    "tiny": ControlConfig(res_blocks=1, pool=16, batch=2, steps=2, warmup_steps=1),
}
TINY_TURBO = TurboConfig(
    drawing_steps=2, teacher_steps=4, guidance_width=8, rank=2, pool=16, batch=2, steps=2, warmup_steps=1,
)  # fmt: skip
LATENT_READERS = {
    "scenes-cpu": LatentReaderConfig(image_size=256),
    "tiny": LatentReaderConfig(pool=16, batch=2, steps=2, warmup_steps=1),
}
TURBOS = {
    "scenes-cpu": TurboConfig(image_size=256, pool=250_000, steps=10_000),
    "scenes-wishes": TurboConfig(
        image_size=256, pool=250_000, steps=2_000, learning_rate=5e-4, ema_decay=0.98, wish_weight=0.015,
    ),
    "scenes-gpu": TurboConfig(image_size=256, pool=250_000, batch=192, steps=654, ema_decay=0.998),
    "tiny": TINY_TURBO,
    "tiny-wishes": replace(TINY_TURBO, wish_weight=0.015),
}  # fmt: skip
