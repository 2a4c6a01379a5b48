"""In what numbers a denoiser calculates: bfloat16 where that is known to be faster, else float32."""

from __future__ import annotations

import torch

from .checks import shown

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16 itself: `python -m evaluation.benchmark --suite core` shows the gain."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def choose_dtype(dtype: str | torch.dtype | None, device: str) -> torch.dtype:
    """The denoiser's precision: as asked for, else bfloat16 where it is known to be faster."""
    if isinstance(dtype, torch.dtype) and dtype in DTYPES.values():
        return dtype
    if dtype is None:
        fast = device.startswith("cuda") or (device == "cpu" and _cpu_has_bfloat16())
        return torch.bfloat16 if fast else torch.float32
    known = SHORT.get(dtype, dtype) if isinstance(dtype, str) else ""
    if known not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join([*SHORT, *DTYPES])}, got {shown(dtype)}")
    return DTYPES[known]
