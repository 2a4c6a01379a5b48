"""Autoencoder comparison: what is left of a photo when it has been a latent."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import gradio as gr
import pandas as pd
from PIL import Image

from evaluation.metrics.round_trip import round_trip, same_cost
from ldm_core.data import scenes
from ldm_core.data.test_card import test_card
from ldm_core.registry import AUTOENCODERS

from .. import controls, turns
from ..comparison_view import Compared, comparison_html
from ..data_url import data_url
from ..openings import Opening
from ..session import Session
from ..uploads import check_upload, picture_input, read_upload

NAMES = ("photo", "autoencoders", "sample_too")  # the endpoint's parameters
SAMPLE_SEEDS = (100_000_011, 100_000_040)  # held-out scenes
WHAT_IT_IS = (
    "A latent-diffusion model never sees pixels: an autoencoder first turns a picture into a small latent, and turns the "
    "model's latent back into a picture. What the autoencoder cannot keep, the model cannot draw. Here you see what each "
    "one keeps of your photo. Your photo is shown to nobody and deleted within the hour."
)


EMPTY = '<div class="sweep empty">The comparison appears here.</div>'
# Runs in the browser as soon as the photo is another, so that nothing of an earlier one stands beside it.
CLEAR = (
    f"""(photo, words) => ['{EMPTY}', photo ? '' : words, null, {{__type__: 'update', visible: false, value: null}}]"""
)


def build(session: Session, head: gr.Markdown) -> list[Opening]:
    """The tab's inputs, view and events; gives what it opens with."""
    gr.Markdown(WHAT_IT_IS, elem_classes="what")
    with gr.Row(elem_classes="stage wide"):
        with gr.Column(elem_classes="ask"):
            samples = sample_files(session)
            photo = picture_input(value=samples[0], label="Photo", height=260, elem_id="photo")
            with gr.Row(elem_classes="buttons"):
                go, stop = gr.Button("Compare", variant="primary", min_width=96), gr.Button("Stop", min_width=96)
            gr.HTML(f"<p>Samples of our own: a click takes one</p><style>{thumbnails(samples)}</style>", padding=False)
            with gr.Row(elem_classes="samples"):
                for index, path in enumerate(samples):
                    taking = gr.Button(Path(path).stem, size="sm", min_width=80, elem_id=f"sample-{index}")
                    taking.click(functools.partial(str, path), None, photo, **controls.QUIET)
            choice = gr.CheckboxGroup(
                choices(session),
                value=default_choice(session),
                label="Autoencoders",
                info="those of the project are here already; others are fetched when first chosen",
            )
            sampled = gr.Checkbox(False, label="Also by a sample of the posterior, in place of its mean")
        with gr.Column(elem_classes="shown"):
            status = gr.Markdown(label="Status", elem_id="compare-status", elem_classes="status")
            view = gr.HTML(EMPTY, label="Comparison", elem_id="comparison")
            numbers = gr.JSON(visible=False, label="Numbers")
            keep = gr.DownloadButton("Keep the numbers (CSV)", visible=False)
    controls.as_given(choice), controls.as_given(sampled)
    comparing = go.click(
        handler(session),
        [photo, choice, sampled],
        [view, status, numbers, keep],
        api_name="reconstruct",
        validator=turns.validator(session, functools.partial(problems, session), NAMES),
        **turns.on_device(status),
    )
    comparing.success(lambda file: gr.DownloadButton(visible=bool(file)), keep, keep, **controls.QUIET)
    stop.click(turns.stopping(session), None, status, **controls.QUIET)
    photo.change(None, [photo, status], [view, status, numbers, keep], js=CLEAR, **controls.QUIET)
    photo.upload(functools.partial(taken, session), photo, [photo, status], **controls.QUIET)
    begin = functools.partial(compare, session, samples[0], default_choice(session), False)
    return [Opening("comparison", [view, status], begin)]


def thumbnails(paths: list[str]) -> str:
    """A style for each sample's button: its picture, within the page itself."""
    rules = []
    for index, path in enumerate(paths):
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((72, 72), Image.Resampling.LANCZOS)
        rules.append(f"#sample-{index} {{ background-image: url({data_url(small, 'webp', quality=85)}); }}")
    return " ".join(rules)


def taken(session: Session, path: object) -> tuple[object, str]:
    """A photo that was uploaded just now: it stays if it can be read; in words why not."""
    words = check_upload(path, session.limits.megapixels)
    return (None, f"Not taken. {words}") if words else (gr.skip(), "")


def choices(session: Session) -> list[tuple[str, str]]:
    """Label and name of every autoencoder on offer."""
    offered = [
        (f"{name} (here)" if spec.embedded else f"{name} ({spec.download_gb:g} GB)", name)
        for name, spec in AUTOENCODERS.items()
    ]
    return [(f"{name} (of the model)", name) for name in own_autoencoders(session)] + offered


def own_autoencoders(session: Session) -> dict[str, str]:
    """Those of the models on offer, in words."""
    return {name: f"of the model {name}: {spec.description or spec.source}" for name, spec in session.specs.items()}


def default_choice(session: Session) -> list[str]:
    """Those that are there at once, and take photographs: the models' own, which know drawings, where there are no others."""
    return [name for name, spec in AUTOENCODERS.items() if spec.embedded] or list(own_autoencoders(session))


def sample_files(session: Session) -> list[str]:
    """The test card and drawn scenes at 512 pixels, as files."""
    pictures = {"test card": test_card()}
    for index, seed in enumerate(SAMPLE_SEEDS):
        pictures[f"drawing {index + 1}"] = scenes.draw(scenes.random_scene(seed), 512)
    paths = []
    for name, pixels in pictures.items():
        paths.append(session.scratch.lasting(f"{name}.png"))
        Image.fromarray(pixels).save(paths[-1])
    return [str(path) for path in paths]


def problems(session: Session, photo: object, autoencoders: object, sample_too: object) -> dict[str, str]:
    """What is wrong with a visitor's settings, in words by their names; empty where nothing is."""
    known = [name for _, name in choices(session)]
    found = {"photo": check_upload(photo, session.limits.megapixels)}
    if not isinstance(autoencoders, list) or not autoencoders:
        found["autoencoders"] = "Choose at least one autoencoder."
    elif any(name not in known for name in autoencoders):
        found["autoencoders"] = f"The autoencoders must be of {', '.join(known)}."
    if not isinstance(sample_too, bool):
        found["sample_too"] = "The sample switch must be on or off."
    return {name: words for name, words in found.items() if words}


def handler(session: Session) -> Callable[..., Iterator]:
    """The endpoint /reconstruct."""

    def reconstruct(
        photo: str, autoencoders: list[str], sample_too: bool = False, request: gr.Request | None = None
    ) -> Iterator[tuple]:
        found = problems(session, photo, autoencoders, sample_too)
        yield from turns.in_lane(
            session,
            found,
            4,
            lambda: compare(session, photo, list(dict.fromkeys(autoencoders)), sample_too),
            request,
            "Stopped; what has been compared stays.",
        )

    return reconstruct


def compare(session: Session, photo: str, names: list[str], sampled: bool) -> Generator[tuple, None, None]:
    """The view, after each autoencoder one more in it; at the end the numbers."""
    began, loaded, failed = time.perf_counter(), {}, {}
    for name in names:
        yield gr.skip(), f"Getting {name} ready", gr.skip(), gr.skip()
        try:
            loaded[name] = session.autoencoder(name)
        except ValueError as error:
            failed[name] = str(error)
    multiple = math.lcm(*(autoencoder.factor for autoencoder in loaded.values())) if loaded else 8
    image, done = read_upload(photo, session.limits.photo_side, multiple)
    compared = []
    for index, (name, autoencoder) in enumerate(loaded.items()):
        trip = round_trip(image, autoencoder)
        noisy = round_trip(image, autoencoder, sample_seed=0).psnr if sampled else None
        words = AUTOENCODERS[name].description if name in AUTOENCODERS else own_autoencoders(session)[name]
        compared.append(Compared(name, words, trip, noisy, same_cost(image, trip)))
        yield comparison_html(image, compared, {}), f"{index + 1} of {len(loaded)} done", gr.skip(), gr.skip()
    numbers = [each.numbers() for each in compared]
    size = f"{image.shape[2]} x {image.shape[1]} pixels"
    prepared = f"The photo was {', '.join(done)}: {size}." if done else f"The photo was taken as it is: {size}."
    path = session.scratch.path("autoencoders.csv")
    pd.DataFrame(numbers).to_csv(path, index=False)
    words = f"{prepared} {time.perf_counter() - began:.1f} s."
    yield comparison_html(image, compared, failed), words, numbers, str(path)
