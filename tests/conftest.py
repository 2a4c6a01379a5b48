"""Small checkpoints of the real classes, with random weights, made once per test session."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from ldm_core.training.tokenizer import build_tokenizer
from ldm_core.training.train_denoiser import MODEL_INDEX

pytest_plugins = ["visits"]

if "PYTEST_XDIST_WORKER" in os.environ:  # a processor each, for the workers and the commands that they start
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


os.environ.setdefault("LDM_ENGINE", "torch")  # which draws the golden values; a trial for each tiny model takes seconds


LONG = (  # files of which one test takes a quarter of a minute or more, or many a few seconds
    "test_spacing test_benchmark test_processes test_wish test_demo_server test_demo_doors test_demo_visitor test_demo_browser "
    "test_demo_places_to_run test_photo_autoencoders test_card test_embedded_models test_fashion_detector test_everyday_reader "
    "test_scenes_control test_resident test_interrupted test_studies_at_equal_time test_compare"
).split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first: a worker takes a file at a time, and the last ones should be short."""
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


WORDS = (  # all that the tiny checkpoints know
    "a air among an and at background bad balloon behind big blue boat bright by cabin calm capped center "
    "clear clouds cottage countryside dark dawn day daylight desert drawing dunes dusk early evening evergreen "
    "field fir full grass grassy green home hot house hut in is lake landscape left light little lonely meadow "
    "middle midnight moon morning mountains near night of old on orange over palm peaks picture pine pink "
    "pretty purple quiet red right sail sailboat sailing sand sandy side sky small snow snowy some starry "
    "storm stormy sun sunny sunrise sunset tall the there to tree under view water weather white winter with "
    "yellow"
).split()


def make_checkpoint(folder: Path, prediction_type: str = "epsilon", seed: int = 0) -> Path:
    """A Stable Diffusion folder: 32-pixel images, f=2 latents, a vocabulary of a few words."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(WORDS, 24)
    text = clip_config(tokenizer)
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=2,
    )
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
    parts = {"unet": unet, "vae": small_vae(), "text_encoder": CLIPTextModel(text), "tokenizer": tokenizer}
    save_parts(folder, parts | {"scheduler": scheduler}, MODEL_INDEX)
    (folder / "tokenizer" / "words.txt").write_text("\n".join(WORDS))
    return folder


def clip_config(tokenizer: object, width: int = 32, **more: object) -> CLIPTextConfig:
    """Of a CLIP text encoder two layers deep."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=24,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        projection_dim=32,
        **more,
    )


def small_vae(latent_channels: int = 4, **more: object) -> AutoencoderKL:
    """f=2."""
    return AutoencoderKL(
        block_out_channels=(16, 32),
        in_channels=3,
        out_channels=3,
        latent_channels=latent_channels,
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        scaling_factor=0.5,
        **more,
    )


def save_parts(folder: Path, parts: dict[str, object], index: dict) -> None:
    """A diffusers folder of these parts."""
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    (folder / "model_index.json").write_text(json.dumps(index))


def make_xl_checkpoint(folder: Path, seed: int = 2) -> Path:
    """A Stable Diffusion XL folder: two text encoders, sizes and a summary told to the U-Net."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(WORDS, 24)
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32 + 48,
        attention_head_dim=(2, 4),
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=32 + 6 * 8,
    )
    scheduler = EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1, timestep_spacing="leading"
    )
    save_parts(
        folder,
        {
            "unet": unet,
            "vae": small_vae(),
            "text_encoder": CLIPTextModel(clip_config(tokenizer)),
            "tokenizer": tokenizer,
            "text_encoder_2": CLIPTextModelWithProjection(clip_config(tokenizer, 48, hidden_act="gelu")),
            "tokenizer_2": tokenizer,
            "scheduler": scheduler,
        },
        {
            "_class_name": "StableDiffusionXLPipeline",
            "force_zeros_for_empty_prompt": True,
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
            "scheduler": ["diffusers", "EulerDiscreteScheduler"],
            "image_encoder": [None, None],
            "feature_extractor": [None, None],
        },
    )
    return folder


def t5_tokenizer(words: list[str]) -> T5TokenizerFast:
    """Whole words; the end is marked, as T5 marks it."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return T5TokenizerFast(
        vocab=special + [(f"▁{word}", -1.0) for word in sorted(set(words))], extra_ids=0, model_max_length=512
    )


def make_sd3_checkpoint(folder: Path, seed: int = 3, with_t5: bool = True, channels: int = 4) -> Path:
    """A Stable Diffusion 3.5 folder: three text encoders, a transformer, rectified flow with shift 3."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(WORDS, 24)
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=channels,
        out_channels=channels,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=80,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        pos_embed_max_size=32,
        qk_norm="rms_norm",
        dual_attention_layers=(0,),
    )
    parts = {
        "transformer": transformer,
        "vae": small_vae(channels, shift_factor=0.06, use_quant_conv=False, use_post_quant_conv=False),
        "text_encoder": CLIPTextModelWithProjection(clip_config(tokenizer)),
        "tokenizer": tokenizer,
        "text_encoder_2": CLIPTextModelWithProjection(clip_config(tokenizer, 48, hidden_act="gelu")),
        "tokenizer_2": tokenizer,
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0),
    }
    if with_t5:
        reads = t5_tokenizer(WORDS)
        t5 = T5Config(
            vocab_size=len(reads),
            d_model=80,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
        )
        parts |= {"text_encoder_3": T5EncoderModel(t5), "tokenizer_3": reads}
    index = {
        "_class_name": "StableDiffusion3Pipeline",
        "transformer": ["diffusers", "SD3Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "image_encoder": [None, None],
        "feature_extractor": [None, None],
        "text_encoder_3": ["transformers", "T5EncoderModel"] if with_t5 else [None, None],
        "tokenizer_3": ["transformers", "T5TokenizerFast"] if with_t5 else [None, None],
    } | {
        f"{part}{end}": ["transformers", kind]
        for end in ("", "_2")
        for part, kind in (("text_encoder", "CLIPTextModelWithProjection"), ("tokenizer", "CLIPTokenizer"))
    }
    save_parts(folder, parts, index)
    return folder


@pytest.fixture(scope="session")
def tiny_xl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion XL's classes."""
    return make_xl_checkpoint(tmp_path_factory.mktemp("tiny-xl"))


@pytest.fixture(scope="session")
def tiny_sd3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 3.5's classes."""
    return make_sd3_checkpoint(tmp_path_factory.mktemp("tiny-sd3"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An epsilon-predicting checkpoint."""
    return make_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_v_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A v-predicting checkpoint with other weights."""
    return make_checkpoint(tmp_path_factory.mktemp("tiny-v"), "v_prediction", seed=1)


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path):
    """The epsilon-predicting checkpoint, loaded."""
    from ldm_core import load

    return load(str(tiny_folder), device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def demo_server():
    """The page as it is hosted, on a free port of this machine; its session, for what cannot be seen from outside."""
    pytest.importorskip("gradio")
    from types import SimpleNamespace

    from demo import app
    from demo.session import Session

    session = Session.load("scenes")
    page = app.build(session)
    _, address, _ = page.launch(
        server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, quiet=True, **app.launch_options()
    )
    yield SimpleNamespace(address=address.rstrip("/"), session=session, openings=page.openings)
    page.close()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
