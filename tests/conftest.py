"""Small checkpoints of the real classes, with random weights, made once per test session."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from ldm_core.data import scenes
from ldm_core.training.tokenizer import build_tokenizer
from ldm_core.training.train_denoiser import MODEL_INDEX


def make_checkpoint(folder: Path, prediction_type: str = "epsilon", seed: int = 0) -> Path:
    """A Stable Diffusion folder: 32-pixel images, f=2 latents, a vocabulary of the drawn world's words."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(scenes.known_words(), 24)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=24, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, projection_dim=32,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, attention_head_dim=2,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(16, 32), in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, scaling_factor=0.5,
    )  # fmt: skip
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
                              set_alpha_to_one=False, steps_offset=1, prediction_type=prediction_type)  # fmt: skip
    for part, name in ((unet, "unet"), (vae, "vae"), (CLIPTextModel(text), "text_encoder"), (tokenizer, "tokenizer"),
                       (scheduler, "scheduler")):  # fmt: skip
        part.save_pretrained(folder / name)
    (folder / "model_index.json").write_text(json.dumps(MODEL_INDEX))
    (folder / "tokenizer" / "words.txt").write_text("\n".join(scenes.known_words()))
    return folder


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
    _, address, _ = page.launch(server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, quiet=True,
                                **app.launch_options())  # fmt: skip
    yield SimpleNamespace(address=address.rstrip("/"), session=session)
    page.close()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
