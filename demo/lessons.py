"""What the parts of "How it works" draw: generators of what the page shows, a view and words."""

from __future__ import annotations

import time
from collections.abc import Generator

import gradio as gr
import torch
from torch import Tensor

from evaluation.metrics.round_trip import round_trip
from ldm_core.images import to_pil
from ldm_core.sampling import State
from ldm_core.tasks import interpolation

from . import turns
from .figures import decibels, picture_source
from .film import film, scrubber
from .noising_view import SCHEDULES, TIMES, noise_like, noised, noising_html
from .session import Session
from .trajectory_view import as_seen, channels_of, chosen, moments_of, noise_share, trajectory_html
from .uploads import read_upload
from .word_view import WordsSeen
from .zero_gpu import lent

Frames = Generator[tuple, None, None]
BETWEEN = 8  # pictures from one to the other
PHOTO_SIDE = 256  # pixels
FACTORS = ("photo-f4", "photo-f8", "photo-f16")


@lent
def watch(session: Session, prompt: str, seed: int, guidance_scale: float) -> Frames:
    """One drawing, every step of it kept and decoded."""
    model, began = session.model, time.perf_counter()
    states: list[State] = []
    words = WordsSeen.of(model, prompt, guidance_scale)
    for state in words.noting(model, model.denoise(prompt, seed, guidance_scale)):
        states.append(state)
        yield gr.skip(), turns.step_words(state, began)
    moments = chosen(moments_of(model, seed, states))
    pictures: list[tuple[Tensor, Tensor]] = []
    for moment in moments:
        noisy, clean = model.decode(torch.stack([as_seen(moment.noisy), moment.clean]))
        pictures.append((noisy, clean))
        yield gr.skip(), f"Step {moment.step + 1} of {len(states)} decoded"
    more = words.html([moment.step for moment in moments]), words.note(model.spec.world)
    shares = [noise_share(model.scheduler_config, moment.t) for moment in moments]
    noisy_and_clean = [noisy for noisy, _ in pictures], [clean for _, clean in pictures]
    view = trajectory_html(moments, *noisy_and_clean, len(states), *more, shares=shares)
    yield view, f"{len(states)} steps, {time.perf_counter() - began:.1f} s. Drag the slider, or press Play."


@lent
def noise_away(session: Session, prompt: str, seed: int) -> Frames:
    """A drawing's clean latent, and what the schedules make of it."""
    model, began = session.model, time.perf_counter()
    latent = None
    for state in model.denoise(prompt, seed):
        latent = state.latent
        yield gr.skip(), turns.step_words(state, began)
    assert latent is not None, "there is a step or more"
    clean = latent[0].float().cpu()
    images: dict[str, list[Tensor]] = {name: [] for name in SCHEDULES}
    for name, t, noisy in noised(clean, noise_like(clean, seed)):
        images[name].append(model.decode(noisy[None])[0])
        yield gr.skip(), f"{name} schedule, t = {t:.3g}"
    yield (
        noising_html(images),
        f"{len(SCHEDULES)} schedules at {len(TIMES)} times, {time.perf_counter() - began:.1f} s.",
    )


@lent
def between(session: Session, first: str, second: str, first_seed: int, second_seed: int) -> Frames:
    """Pictures on the way from one prompt and seed to another."""
    began = time.perf_counter()
    yield gr.skip(), f"Drawing {BETWEEN} pictures"
    frames = session.model.interpolate([first, second], [first_seed, second_seed], frames=BETWEEN)
    shares = [place / (BETWEEN - 1) for place in range(BETWEEN)]
    words = [f"{1 - share:.0%} of the first, {share:.0%} of the second" for share in shares]
    row = picture_source(to_pil(interpolation.strip(frames)))
    label = "all of them, from the first at the left to the second at the right"
    whole = f'<figure class="whole"><img src="{row}" alt="{label}"><figcaption>{label}</figcaption></figure>'
    moving = film([to_pil(frame) for frame in frames], "On the way")
    view = scrubber(f'<div class="films one">{moving}{whole}</div>', words, "share of the second picture", BETWEEN // 2)
    yield view, f"{BETWEEN} pictures, {time.perf_counter() - began:.1f} s."


@lent
def by_factor(session: Session, photo: str) -> Frames:
    """A photo through the autoencoders that shrink it 4, 8 and 16 times along a side."""
    began = time.perf_counter()
    image, done = read_upload(photo, PHOTO_SIDE, 16)
    size = f"{image.shape[2]} x {image.shape[1]}"
    figures = [_figure(image, f"the photo, {size}", f"{image.numel():,} numbers")]
    for name in FACTORS:
        autoencoder = session.autoencoder(name)
        trip = round_trip(image, autoencoder)
        channels, height, width = trip.latent.shape[1:]
        words = f"f = {autoencoder.factor}: {width} x {height} places, {channels} channels"
        note = f"{trip.latent.numel():,} numbers, {trip.values_saved:.0f} times fewer; {decibels(trip.psnr)} dB"
        figures.append(_figure(trip.rebuilt[0], words, note, picture_source(channels_of(trip.latent[0]))))
        yield f'<div class="films">{"".join(figures)}</div>', f"{len(figures) - 1} of {len(FACTORS)} done"
    words = f"The photo was {', '.join(done)}. " if done else ""
    yield f'<div class="films">{"".join(figures)}</div>', f"{words}{time.perf_counter() - began:.1f} s."


def _figure(image: Tensor, words: str, note: str, latent: str = "") -> str:
    """An image (3, H, W), and beside it the channels of its latent."""
    small = f'<img class="latent" src="{latent}" alt="the latent\'s channels, {words}">' if latent else ""
    source = picture_source(to_pil(image))
    return (
        f'<figure><img src="{source}" alt="{words}"><figcaption><b>{words}</b><br>{note}</figcaption>{small}</figure>'
    )
