"""Arrays kept for a training that goes on: of these pictures by this network alone, and whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ldm_core.training.everyday import Drawings, training_scenes
from ldm_core.training.kept import identity_of_network, identity_of_pictures, kept_array
from ldm_core.training.train_denoiser import cached_latents
from tests.conftest import small_vae


def counting(value):
    made = []

    def make():
        made.append(value)
        return np.full((4, 3), value, np.float16)

    return make, made


def test_what_was_made_is_taken_again_and_what_was_made_of_something_else_is_not(tmp_path):
    make, made = counting(1)
    for _ in range(2):
        assert (kept_array(tmp_path / "a.npy", "these", make) == 1).all()
    assert made == [1]
    other, made_of_others = counting(2)
    assert (kept_array(tmp_path / "a.npy", "those", other) == 2).all() and made_of_others == [2]


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "no seal", "other seal"])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    make, made = counting(1)
    kept_array(tmp_path / "a.npy", "these", make)
    file, seal = tmp_path / "a.npy", tmp_path / "a.npy.sha256"
    whole = file.read_bytes()
    if damage == "no seal":
        seal.unlink()
    elif damage == "other seal":
        seal.write_bytes(b"\xff\xfe")
    else:
        flipped = whole[:-1] + bytes([whole[-1] ^ 1])
        file.write_bytes({"empty": b"", "cut": whole[:-5], "flipped": flipped}[damage])
    assert (kept_array(file, "these", make) == 1).all() and made == [1, 1] and file.read_bytes() == whole


def test_latents_of_other_pictures_or_another_autoencoder_are_not_taken_for_these(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), np.uint8)
    torch.manual_seed(0)
    one, other = small_vae(), small_vae()
    first = np.array(cached_latents(one, images, tmp_path / "l.npy", "cpu"))
    assert np.array_equal(first, cached_latents(one, images, tmp_path / "l.npy", "cpu")) and first.shape == (3, 4, 4, 4)
    for vae, pictures in ((other, images), (one, 255 - images)):  # as many, so that a length tells nothing
        again = np.array(cached_latents(vae, pictures, tmp_path / "l.npy", "cpu"))
        anew = np.array(cached_latents(vae, pictures, tmp_path / "anew.npy", "cpu"))
        assert np.array_equal(again, anew) and not np.array_equal(again, first)


def test_pictures_and_networks_that_differ_in_one_value_have_other_identities():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    changed = images.copy()
    changed[1, 2, 3, 0] = 1
    assert identity_of_pictures(images) != identity_of_pictures(changed)
    assert identity_of_pictures(images) != identity_of_pictures(images.reshape(2, 2, 8, 3))
    scenes = training_scenes(3)
    drawn = [identity_of_pictures(Drawings(*each)) for each in ((scenes, 16), (scenes[:2], 16), (scenes, 32))]
    assert len(set(drawn)) == 3 and drawn[0] == identity_of_pictures(Drawings(training_scenes(3), 16))
    network = torch.nn.Linear(2, 2)
    before = identity_of_network(network, 0.5)
    assert before == identity_of_network(network, 0.5) != identity_of_network(network, 0.6)
    network.weight.data[0, 0] += 1
    assert identity_of_network(network, 0.5) != before
