"""Where the networks lie: all on the device, or each there only while it works, for cards too small for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch
from torch import nn

from .checks import first_line, shown


class Placement:
    """A device, and whether networks leave it after their work."""

    def __init__(self, device: str | torch.device, offload: bool = False):
        self.device, self.offload = torch.device(device), offload

    @contextmanager
    def using(self, *networks: nn.Module) -> Iterator[None]:
        """Within the block the networks are on the device; where they are offloaded, in main memory afterwards."""
        if not self.offload:
            yield
            return
        for network in networks:
            network.to(self.device)
        try:
            yield
        finally:
            for network in networks:
                network.to("cpu")

    @property
    def home(self) -> torch.device:
        """Where networks are loaded to."""
        return torch.device("cpu") if self.offload else self.device

    def check_room(self, name: str, needed_gb: float) -> None:
        """ValueError where a model that needs so much, 0 for unknown, will not fit."""
        free = free_gb(self.home)
        if needed_gb > free:
            small = "a smaller model" if self.offload or self.device.type == "cpu" else "--offload or a smaller model"
            raise ValueError(
                f"model {name!r} needs about {needed_gb:.0f} GB on {self.home} and {free:.0f} GB are free: take {small}"
            )


def choose_device(device: str | torch.device | None) -> str:
    """The device asked for, if it is there; else the best one."""
    if device is None:
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device {shown(device)} cannot be used here: {first_line(error)}") from None
    return str(torch.device(device))


def free_gb(device: torch.device) -> float:
    """What is free on a device, in GiB."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 2**30
    return psutil.virtual_memory().available / 2**30
