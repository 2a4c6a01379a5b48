"""The untrained text encoder of a recipe: a small CLIP one."""

from __future__ import annotations

from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

HEAD = 32  # width of an attention head: narrower ones are slow


def build_text_encoder(tokenizer: CLIPTokenizer, width: int, layers: int, tokens: int) -> CLIPTextModel:
    """With random weights, for prompts of up to so many tokens."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=max(1, width // HEAD),
            max_position_embeddings=tokens,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            projection_dim=width,
        )
    )
