"""Autoencoder comparison: what is left of a photo when it has been a latent."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import gradio as gr

from ldm_core.registry import AUTOENCODERS

from .. import controls, turns
from ..comparison import DTYPES, POSTERIORS, Ways, compare, own_autoencoders, too_much
from ..openings import Opening
from ..samples import sample_row, samples
from ..session import Session
from ..uploads import check_upload, picture_input

NAMES = ("photo", "autoencoders", "posterior", "dtype", "drift")  # the endpoint's parameters
WHAT_IT_IS = (
    "A latent-diffusion model never sees pixels: an autoencoder first turns a picture into a small latent, and turns the "
    "model's latent back into a picture. What the autoencoder cannot keep, the model cannot draw. Here you see what each "
    "one keeps of your photo. Your photo is shown to nobody and deleted within half an hour."
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
            sample = next(iter(samples(session).values()))
            photo = picture_input(value=sample, label="Photo", height=260, elem_id="photo")
            with gr.Row(elem_classes="buttons"):
                go, stop = gr.Button("Compare", variant="primary", min_width=96), gr.Button("Stop", min_width=96)
            sample_row(session, photo)
            choice = gr.CheckboxGroup(
                choices(session),
                value=default_choice(session),
                label="Autoencoders",
                elem_id="which",
                info="those of the project are here already; others are fetched when first chosen",
            )
        with gr.Column(elem_classes="shown"):
            status = gr.Markdown(label="Status", elem_id="compare-status", elem_classes="status")
            view = gr.HTML(EMPTY, label="Comparison", elem_id="comparison")
            numbers = gr.JSON(visible=False, label="Numbers")
            keep = gr.DownloadButton("Keep the numbers (CSV)", visible=False)
        with gr.Column(elem_classes="more"):
            switches = switches_of()
    for box in (choice, *switches):
        controls.as_given(box)
    comparing = go.click(
        handler(session),
        [photo, choice, *switches],
        [view, status, numbers, keep],
        api_name="reconstruct",
        validator=turns.validator(session, functools.partial(problems, session), NAMES),
        **turns.on_device(status),
    )
    comparing.success(lambda file: gr.DownloadButton(visible=bool(file)), keep, keep, **controls.QUIET)
    stop.click(turns.stopping(session), None, status, **controls.QUIET)
    photo.change(None, [photo, status], [view, status, numbers, keep], js=CLEAR, **controls.QUIET)
    photo.upload(functools.partial(taken, session), photo, [photo, status], **controls.QUIET)
    begin = functools.partial(compare, session, sample, default_choice(session), Ways())
    return [Opening("comparison", [view, status], begin)]


def switches_of() -> list[gr.components.Component]:
    """How the round trip is made."""
    means = "what the decoder gets: the posterior's mean, or one sample of it (those without a posterior give the same)"
    return [
        gr.Radio(POSTERIORS, value="mean", label="Latent", info=means),
        gr.Radio(list(DTYPES), value="float32", label="Calculated in", info="bfloat16 has half the bits of a number"),
        gr.Checkbox(True, label="Drift: ten round trips one after another"),
    ]


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


def default_choice(session: Session) -> list[str]:
    """Those that are there at once, and take photographs: the models' own, which know drawings, where there are no others."""
    return [name for name, spec in AUTOENCODERS.items() if spec.embedded] or list(own_autoencoders(session))


def problems(
    session: Session, photo: object, autoencoders: object, posterior: object, dtype: object, drift: object
) -> dict[str, str]:
    """What is wrong with a visitor's settings, in words by their names; empty where nothing is."""
    known = [name for _, name in choices(session)]
    found = {"photo": check_upload(photo, session.limits.megapixels)}
    names = autoencoders if isinstance(autoencoders, list) else []
    if not names:
        found["autoencoders"] = "Choose at least one autoencoder."
    elif any(name not in known for name in names):
        found["autoencoders"] = f"The autoencoders must be of {', '.join(known)}."
    if posterior not in POSTERIORS:
        found["posterior"] = f"The latent must be one of {', '.join(POSTERIORS)}."
    if dtype not in DTYPES:
        found["dtype"] = f"The type must be one of {', '.join(DTYPES)}."
    if not isinstance(drift, bool):
        found["drift"] = "Drift must be on or off."
    found = {name: words for name, words in found.items() if words}
    if not found:
        ways = Ways(posterior == "sample", str(dtype), bool(drift))
        words = too_much(session, str(photo), len(set(names)), ways)
        found |= {"autoencoders": words} if words else {}
    return found


def handler(session: Session) -> Callable[..., Iterator]:
    """The endpoint /reconstruct."""

    def reconstruct(
        photo: str,
        autoencoders: list[str],
        posterior: str = "mean",
        dtype: str = "float32",
        drift: bool = True,
        request: gr.Request | None = None,
    ) -> Iterator[tuple]:
        found = problems(session, photo, autoencoders, posterior, dtype, drift)
        yield from turns.in_lane(
            session,
            found,
            4,
            lambda: compare(
                session, photo, list(dict.fromkeys(autoencoders)), Ways(posterior == "sample", dtype, drift)
            ),
            request,
            "Stopped; what has been compared stays.",
        )

    return reconstruct
