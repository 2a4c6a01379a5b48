"""Control: an image beside the prompt says where things go, by a network beside the U-Net.

Two kinds of diffusers' folders are run, as their pipelines run them: ControlNetModel (Zhang et al. 2023), a copy of the
U-Net's encoder that works at every step, and T2IAdapter (Mou et al. 2023), whose features of the image are computed once.
Both add to the U-Net's own features; guidance's conditional and unconditional predictions are controlled alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import ControlNetModel, ModelMixin, T2IAdapter
from torch import Tensor

from ..settings import SamplingSettings
from .start import check_images, image_sha256

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as PIL turns pictures grey

NO_CONTROL = "needs a model with a control network: ldm_core.load(..., control=FOLDER)"


@dataclass(frozen=True)
class ControlRows:
    """The control of one row of a network call, or of many."""

    control: Control
    inputs: tuple[Tensor, ...]  # (R, ...) each: what `Control.inputs` makes of a row's image
    scales: Tensor  # (R,)

    def rows(self, chosen: slice | Sequence[int]) -> ControlRows:
        """Some rows of many."""
        return ControlRows(self.control, tuple(each[chosen] for each in self.inputs), self.scales[chosen])

    def to(self, dtype: torch.dtype) -> ControlRows:
        """In a network's precision."""
        return ControlRows(self.control, tuple(each.to(dtype) for each in self.inputs), self.scales.to(dtype))

    def residuals(self, latents: Tensor, timestep: Tensor, told: Mapping[str, Any]) -> dict[str, Any]:
        """The U-Net's further arguments, where its own call is latents (R, C, h, w), the timestep and those of `told`."""
        scales = self.scales.view(-1, 1, 1, 1)
        return self.control.residuals(self.inputs, scales, latents, timestep, told)


class Control(ABC):
    """A control network, in the denoiser's precision."""

    kind: ClassVar[type[ModelMixin]]

    def __init__(self, module: ModelMixin, source: str):
        self.network, self.source = module.eval(), source  # source: what ldm_core.load takes as `control`
        self.dtype = module.dtype

    @property
    @abstractmethod
    def channels(self) -> int:
        """Of the image that it takes: 3, or 1 for one in grey."""

    @property
    def multiple(self) -> int:
        """Pixels that a side of its image must be a multiple of, beside what the model asks for."""
        return 1

    @abstractmethod
    def inputs(self, image: Tensor) -> tuple[Tensor, ...]:
        """What is computed once of an image (1, channels, H, W) in [0, 1]."""

    @abstractmethod
    def residuals(
        self, inputs: tuple[Tensor, ...], scales: Tensor, latents: Tensor, timestep: Tensor, told: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the U-Net is given at a step; scales are (R, 1, 1, 1)."""

    @torch.inference_mode()
    def prepare(
        self, images: Sequence[Tensor], each: Sequence[SamplingSettings], device: torch.device
    ) -> PreparedControl:
        """The control of pictures from their images (3, H, W) in [0, 1] and their settings; equal images are worked once.

        device is where the network is now.
        """
        names = [image_sha256(image) for image in images]
        made: dict[str, tuple[Tensor, ...]] = {}
        for name, image in zip(names, images):
            if name not in made:
                made[name] = self.inputs(self._channelled(image[None]).to(device, self.dtype))
        inputs = tuple(torch.cat(parts) for parts in zip(*(made[name] for name in names)))
        return PreparedControl(self, inputs, names, list(each))

    def _channelled(self, image: Tensor) -> Tensor:
        if self.channels == 3:
            return image
        return (image * image.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)


class ControlNet(Control):
    """Zhang et al. 2023: its residuals enter at the U-Net's every skip connection and its middle."""

    kind = ControlNetModel

    @property
    def channels(self) -> int:
        return self.network.config.conditioning_channels

    def inputs(self, image: Tensor) -> tuple[Tensor, ...]:
        return (image,)

    def residuals(
        self, inputs: tuple[Tensor, ...], scales: Tensor, latents: Tensor, timestep: Tensor, told: Mapping[str, Any]
    ) -> dict[str, Any]:
        down, mid = self.network(latents, timestep, controlnet_cond=inputs[0], return_dict=False, **told)
        return {
            "down_block_additional_residuals": [scales * each for each in down],
            "mid_block_additional_residual": scales * mid,
        }


class Adapter(Control):
    """Mou et al. 2023: its features, which depend on the image alone, are added after the U-Net's encoder blocks."""

    kind = T2IAdapter

    @property
    def channels(self) -> int:
        return self.network.config.in_channels

    @property
    def multiple(self) -> int:
        return self.network.downscale_factor

    def inputs(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(image))

    def residuals(
        self, inputs: tuple[Tensor, ...], scales: Tensor, latents: Tensor, timestep: Tensor, told: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {"down_intrablock_additional_residuals": [scales * each for each in inputs]}  # a list that it uses up


CONTROLS: dict[str, type[Control]] = {made.kind.__name__: made for made in (ControlNet, Adapter)}


@dataclass(frozen=True)
class PreparedControl:
    """The control of all pictures that denoise together."""

    control: Control
    inputs: tuple[Tensor, ...]  # (B, ...) each
    names: list[str]  # of the images: equal names are equal images
    each: list[SamplingSettings]

    def key(self, index: int) -> tuple:
        """Pictures of equal keys are controlled alike at every step."""
        own = self.each[index]
        return self.names[index], own.control_scale, own.control_interval

    def rows(self, origin: Sequence[int], t: float) -> ControlRows | None:
        """The rows of pictures `origin` at time t; None where none of them is controlled then."""
        scales = [self.each[index].control_at(t) for index in origin]
        if not any(scales):
            return None
        inputs = tuple(part[list(origin)] for part in self.inputs)
        return ControlRows(self.control, inputs, torch.tensor(scales, device=inputs[0].device))


def check_control_images(images: Any, count: int, height: int, width: int) -> list[Tensor]:
    """Control images, one (3, H, W) or (1, 3, H, W) for all or (B, 3, H, W), as a list of `count`, each (3, height, width).

    ValueError where there are other numbers of them, other sides, or values that are none of [0, 1].
    """
    given = check_images(images, "control_images")
    if tuple(given.shape[2:]) != (height, width) or len(given) not in (1, count):
        raise ValueError(
            f"control_images must be (3, {height}, {width}), one for all or one for each of {count} pictures, "
            f"got {tuple(given.shape)}"
        )
    return list(given.expand(count, -1, -1, -1))
