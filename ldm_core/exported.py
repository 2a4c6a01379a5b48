"""A model exported as graphs: a diffusers folder whose networks are files of ONNX or OpenVINO, by which they run.

export.json beside model_index.json says format and precision. The torch networks are there for their configs only: their
weights are never read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import ModelMixin

from .checkpoint import read_json
from .checks import first_line, shown
from .registry import OWN_SETTINGS
from .settings import SamplingSettings

if TYPE_CHECKING:
    from .pipeline import LatentDiffusion

FILE = "export.json"
ENDINGS = {"onnx": ".onnx", "openvino": ".xml"}  # by format; OpenVINO's weights lie in a .bin beside
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}  # with what recipes call them
NETWORK, DECODER, ENCODER = "model", "decoder", "encoder"  # names of graphs; the last two in vae/


@dataclass(frozen=True)
class Export:
    """What an export.json says."""

    folder: Path
    format: str
    precision: str
    defaults: dict[str, Any]  # of the model that it was: registry.OWN_SETTINGS

    @classmethod
    def find(cls, folder: Path) -> Export | None:
        """Of a folder that is an export; None for any other. ValueError where export.json says what nobody wrote."""
        if not (folder / FILE).is_file():
            return None
        said = read_json(folder / FILE)
        for name, known in (("format", ENDINGS), ("precision", PRECISIONS)):
            if said.get(name) not in known:
                raise ValueError(f"{folder / FILE} has {name} {shown(said.get(name))}; known: {', '.join(known)}")
        defaults = SamplingSettings.of(**said.get("defaults", {})).flat()
        given = {name: defaults[name] for name in OWN_SETTINGS if defaults[name] is not None}
        return cls(folder, said["format"], said["precision"], given)

    @property
    def dtype(self) -> torch.dtype:
        """What its denoiser's numbers are in; of int8 those that are not quantised."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def check(self, engine: str | None, device: str, dtype: object, lora: str | None) -> None:
        """ValueError where something else is asked for than it was exported as."""
        if lora:
            raise ValueError(
                f"model {str(self.folder)!r} is an export: merge --lora into the model before it is exported"
            )
        if engine not in (None, "openvino"):
            raise ValueError(f"model {str(self.folder)!r} is an export and runs by openvino, got engine {engine!r}")
        if device != "cpu":
            raise ValueError(f"model {str(self.folder)!r} is an export and runs on CPUs, got device {device!r}")
        if dtype not in (None, self.precision, PRECISIONS[self.precision], self.dtype):
            raise ValueError(f"model {str(self.folder)!r} was exported in {self.precision}, got dtype {dtype!r}")

    def graph(self, part: str, name: str = NETWORK) -> Path:
        """The file of a network of a part; ValueError where it is not there."""
        path = self.folder / part / f"{name}{ENDINGS[self.format]}"
        if not path.is_file():
            raise ValueError(f"the export is not whole: {path} is missing")
        return path

    def run(self, model: LatentDiffusion) -> None:
        """Let the graphs run in place of the model's empty networks."""
        from .openvino_network import FileSource, OpenVinoNetwork

        def network(part: str, name: str = NETWORK, dtype: torch.dtype = torch.float32) -> OpenVinoNetwork:
            return OpenVinoNetwork(FileSource(self.graph(part, name)), dtype)

        family = model.family
        model.denoiser.is_empty = True
        model.denoiser.run_by(network(family.denoiser_part, dtype=self.dtype))
        if model.vae is None:  # one that was swapped is no graph
            model.autoencoder.run_by(network("vae", DECODER), network("vae", ENCODER))
        parts = [part.encoder for part in family.text if (self.folder / part.encoder).is_dir()]
        for encoder, part in zip(model.conditioner.text_encoders, parts):
            encoder.run_by(network(part))
        model.engine, model.precision = "openvino", PRECISIONS[self.precision]


def empty_network(kind: type[ModelMixin], folder: Path, dtype: torch.dtype) -> Any:
    """A network by its config, its weights whatever memory held."""
    config = read_json(folder / "config.json")
    try:
        with torch.device("meta"):
            made = kind.from_config(config) if hasattr(kind, "from_config") else kind(kind.config_class(**config))
    except Exception as error:  # noqa: BLE001  # the libraries raise what they like: all of it means damage here
        raise ValueError(f"cannot load {folder}: {first_line(error)}") from None
    return made.to_empty(device="cpu").to(dtype)
