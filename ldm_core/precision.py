"""In what numbers networks calculate: bfloat16 where that is known to be faster, else float32."""

from __future__ import annotations

import torch

from .checks import shown

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def fast(device: str) -> torch.dtype:
    """bfloat16 on GPUs and on processors that multiply in it themselves, else float32: a processor of AVX2, which has to convert
    each number, took 15 times as long for a step of training in bfloat16."""
    at_hand = device.startswith("cuda") or (device == "cpu" and _cpu_has_bfloat16())
    return torch.bfloat16 if at_hand else torch.float32


def mixed(device: str, cached: bool = False) -> torch.autocast:
    """Networks to be trained calculate in bfloat16 where that is fast and does no harm. `cached`: a rounded weight is kept for
    its next use, which pays where a network is asked twice; a step that is recorded (training/resident/step.py) could not keep it."""
    return torch.autocast(device, torch.bfloat16, enabled=fast(device) == torch.bfloat16, cache_enabled=cached)


def _cpu_has_bfloat16() -> bool:
    """Whether it multiplies in bfloat16 itself: `python -m evaluation.benchmark --suite core` shows the gain."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def choose_dtype(dtype: str | torch.dtype | None, device: str) -> torch.dtype:
    """The denoiser's precision: as asked for, else bfloat16 where it is known to be faster."""
    if isinstance(dtype, torch.dtype) and dtype in DTYPES.values():
        return dtype
    if dtype is None:
        return fast(device)
    known = SHORT.get(dtype, dtype) if isinstance(dtype, str) else ""
    if known not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join([*SHORT, *DTYPES])}, got {shown(dtype)}")
    return DTYPES[known]
