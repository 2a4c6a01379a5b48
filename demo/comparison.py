"""A photo through several autoencoders: what each leaves of it, how that is measured, and what it may cost."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import pandas as pd
from torch import Tensor

from evaluation.metrics.reconstruction import lpips, lpips_obstacle
from evaluation.metrics.round_trip import round_trip, same_cost
from ldm_core.autoencoder import Autoencoder
from ldm_core.data.photos import photo_size
from ldm_core.registry import AUTOENCODERS

from .comparison_view import Compared, comparison_html
from .drift import SIDE, TRIPS, Drift
from .error_maps import delta_e
from .session import Session
from .uploads import read_upload
from .zero_gpu import lent

POSTERIORS = ("mean", "sample")
DTYPES = ("float32", "bfloat16")
SAMPLE_SEED = 0


@dataclass(frozen=True)
class Ways:
    """How a round trip is made: by a sample of the posterior or its mean, in which type; and whether again and again."""

    sampled: bool = False
    dtype: str = "float32"
    drift: bool = True

    @property
    def usual(self) -> bool:
        """As the evaluation measures."""
        return not self.sampled and self.dtype == "float32"

    def of(self, autoencoder: Autoencoder) -> Autoencoder:
        """In the type."""
        return autoencoder if self.dtype == "float32" else autoencoder.in_bfloat16()

    def compared(self, name: str, words: str, image: Tensor, autoencoder: Autoencoder) -> Compared:
        """An image (3, H, W) in [0, 1] through an autoencoder, with all that is measured of it."""
        trip = round_trip(image, self.of(autoencoder), SAMPLE_SEED if self.sampled else None)
        usual = None if self.usual else round_trip(image, autoencoder).psnr
        seen = float(delta_e(image, trip.rebuilt[0]).mean())
        return Compared(
            name, words, trip, usual, same_cost(image, trip), seen, learned_distance(image, trip.rebuilt[0])
        )


def learned_distance(image: Tensor, rebuilt: Tensor) -> float | None:
    """LPIPS of images (3, H, W) in [0, 1] where it can be computed with what is here; nothing is fetched for it."""
    if lpips_obstacle():
        return None
    value = float(lpips(image[None], rebuilt[None]))
    return value if math.isfinite(value) else None


def too_much(session: Session, photo: str, count: int, ways: Ways) -> str:
    """In words, where a comparison would keep the device longer than one visitor may; empty where not."""
    width, height = photo_size(Path(photo))

    def megapixels(longest: int) -> float:
        return width * height * min(1.0, longest / max(width, height)) ** 2 / 1e6

    of_one = megapixels(session.limits.photo_side) * (1 if ways.usual else 2)
    of_one += TRIPS * megapixels(SIDE) if ways.drift else 0.0
    asked, most = count * of_one, session.limits.compared_megapixels * session.strength
    if asked <= most:
        return ""
    return f"That is {asked / most:.1f} times the work that one comparison may be: choose fewer autoencoders, or leave drift out."


def own_autoencoders(session: Session) -> dict[str, str]:
    """Those of the models on offer, in words."""
    return {name: f"of the model {name}: {spec.description or spec.source}" for name, spec in session.specs.items()}


@lent
def compare(session: Session, photo: str, names: list[str], ways: Ways) -> Generator[tuple, None, None]:
    """The view, after each autoencoder one more in it; at the end the drift, and the numbers."""
    began, loaded, failed = time.perf_counter(), {}, {}
    for name in names:
        yield gr.skip(), f"Getting {name} ready", gr.skip(), gr.skip()
        try:
            loaded[name] = session.autoencoder(name)
        except ValueError as error:
            failed[name] = str(error)
    multiple = math.lcm(*(autoencoder.factor for autoencoder in loaded.values())) if loaded else 8
    image, done = read_upload(photo, session.limits.photo_side, multiple)
    compared, drifts = [], {}
    for index, (name, autoencoder) in enumerate(loaded.items()):
        words = AUTOENCODERS[name].description if name in AUTOENCODERS else own_autoencoders(session)[name]
        compared.append(ways.compared(name, words, image, autoencoder))
        yield comparison_html(image, compared, {}), f"{index + 1} of {len(loaded)} done", gr.skip(), gr.skip()
    if ways.drift:
        small, _ = read_upload(photo, SIDE, multiple)
        for name, autoencoder in loaded.items():
            drifts[name] = Drift(small)
            for trip in drifts[name].go_on(ways.of(autoencoder), ways.sampled):
                yield gr.skip(), f"{name}: round trip {trip} of {TRIPS}", gr.skip(), gr.skip()
    view = comparison_html(image, compared, failed, drifts)
    numbers = _numbers(compared, drifts, ways)
    path = session.scratch.path("autoencoders.csv")
    pd.DataFrame(numbers).to_csv(path, index=False)
    yield view, f"{_prepared(image, done)} {time.perf_counter() - began:.1f} s.", numbers, str(path)


def _numbers(compared: list[Compared], drifts: dict[str, Drift], ways: Ways) -> list[dict[str, object]]:
    made = {"posterior": POSTERIORS[ways.sampled], "dtype": ways.dtype}
    found = []
    for each in compared:
        values = drifts[each.name].psnr if each.name in drifts else None
        shown = (
            None if values is None else [round(value, 3) if math.isfinite(value) else "identical" for value in values]
        )
        found.append(each.numbers() | made | {"drift_psnr": shown})
    return found


def _prepared(image: Tensor, done: list[str]) -> str:
    size = f"{image.shape[2]} x {image.shape[1]} pixels"
    return f"The photo was {', '.join(done)}: {size}." if done else f"The photo was taken as it is: {size}."
