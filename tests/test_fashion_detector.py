"""The detector of Fashion-MNIST: it learns, and its file carries its own measured accuracy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.detectors import fashion as fashion_detector
from evaluation.detectors import train_fashion as train_fashion_detector
from evaluation.detectors import weights_file
from evaluation.detectors.reference_sources import load_reference


@pytest.fixture(scope="module")
def bars():
    """Ten kinds of pictures: a bright bar whose height is the label's."""
    labels = torch.arange(10).repeat(40)
    images = torch.zeros(400, 1, 32, 32)
    for index, label in enumerate(labels.tolist()):
        images[index, 0, 3 * label : 3 * label + 3, 6:26] = 0.5 + 0.5 * (index % 7) / 6
    return images.expand(-1, 3, -1, -1), labels


def test_it_learns_what_the_pictures_show_and_keeps_it_through_its_file(bars, tmp_path, monkeypatch):
    images, labels = bars
    detector = train_fashion_detector.train(images, labels, epochs=6, batch=40)
    measured = train_fashion_detector.accuracy(detector, images, labels)
    assert measured > 0.6, "guessing gives 0.1"
    monkeypatch.setattr(fashion_detector.FashionDetector, "weights", tmp_path / "model.safetensors")
    weights_file.save_weights(detector, {"accuracy": measured, "n": 400})
    train_fashion_detector.save_reference(images)
    stored = fashion_detector.load_fashion_detector()
    fashion_detector.load_fashion_detector.cache_clear()
    assert stored.ceiling("fashion_accuracy")[0].value == measured
    assert train_fashion_detector.accuracy(stored, images, labels) == pytest.approx(measured, abs=0.02)
    features, scores = stored.extract(images[:10], ["a t-shirt"] * 9 + ["a house"])
    reference = load_reference(stored).features
    assert reference.shape == (134, 64) and np.abs(reference[0] - features[0]).max() < 0.05
    assert np.isnan(scores["fashion_accuracy"][9]) and set(scores["fashion_accuracy"][:9]) <= {0.0, 1.0}


def test_augmentation_moves_and_softens_but_keeps_range_and_shape(bars):
    images = bars[0][:8]
    changed = train_fashion_detector.augment(images, np.random.default_rng(3))
    assert changed.shape == images.shape and changed.min() >= 0 and changed.max() <= 1
    assert not torch.equal(changed, images)


def test_pictures_of_any_size_are_taken_as_grey():
    prepared = fashion_detector.prepare(torch.rand(2, 3, 40, 48))
    assert prepared.shape == (2, 1, 32, 32) and prepared.abs().max() <= 1
