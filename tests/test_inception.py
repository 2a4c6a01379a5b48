"""Inception-v3 and its three ways to resize: golden values, PIL and torch as references, and files that are not its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.detectors import inception
from evaluation.detectors.inception import InceptionDetector, InceptionV3, load_inception
from evaluation.detectors.resize import resize


@pytest.fixture(scope="module")
def network():
    """Random weights, and batch statistics that are not one and nothing."""
    torch.manual_seed(0)
    made = InceptionV3().eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1), module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.8, 1.5), module.bias.data.normal_(0, 0.1)
    return made


def test_it_has_the_parameters_of_the_published_file(network):
    state = network.state_dict()
    assert sum(value.numel() for value in network.parameters()) == 23_850_960
    # 94 convolutions, each with a weight and five entries of its normalisation, and a classifier of two.
    assert len(state) == 94 * 6 + 2
    assert state["Mixed_6c.branch7x7dbl_3.conv.weight"].shape == (160, 160, 1, 7)
    assert state["Mixed_7c.branch3x3dbl_3b.conv.weight"].shape == (384, 384, 3, 1)
    assert state["fc.weight"].shape == (1008, 2048) and network.Mixed_5b.branch_pool.bn.eps == 0.001


def test_each_block_has_the_size_and_width_of_the_paper(network):
    sizes = {}
    for name, block in network.named_children():
        block.register_forward_hook(lambda module, _, out, name=name: sizes.update({name: tuple(out.shape[1:])}))
    with torch.inference_mode():
        features = network(torch.zeros(1, 3, 299, 299))
    assert sizes["Conv2d_2b_3x3"] == (64, 147, 147) and sizes["Conv2d_4a_3x3"] == (192, 71, 71)
    assert sizes["Mixed_5d"] == (288, 35, 35) and sizes["Mixed_6e"] == (768, 17, 17)
    assert sizes["Mixed_7c"] == (2048, 8, 8) and features.shape == (1, 2048)


def test_average_pooling_leaves_padding_out_and_the_last_block_takes_the_maximum(network):
    assert inception.average(torch.ones(1, 1, 4, 4)).eq(1).all(), "zeros counted in would darken the rim"
    x = torch.zeros(1, 1, 4, 4)
    x[..., 0, 0] = 9
    assert network.Mixed_7c.pool(x)[0, 0, 1, 1] == 9 and network.Mixed_7b.pool(x)[0, 0, 1, 1] == 1


def test_its_features_do_not_depend_on_what_is_beside_an_image(network):
    detector = InceptionDetector(network, "clean", "x")
    images = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    both, alone = detector.image_features(images), detector.image_features(images[1:])
    assert both.shape == (2, 2048) and torch.allclose(both[1:], alone, atol=1e-5)


def test_the_published_file_loads_by_its_names_and_another_is_refused(network, tmp_path, monkeypatch):
    file = tmp_path / "weights.pth"
    torch.save({k: v for k, v in network.state_dict().items() if "num_batches" not in k}, file)
    monkeypatch.setenv(inception.VARIABLE, str(file))
    with pytest.raises(ValueError, match=r"is not pt_inception.*its SHA-256 begins with"):
        load_inception()
    digest = inception.hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(inception, "CHECKSUM", digest)
    detector = load_inception("tf1")
    assert detector.sha256 == digest and detector.resize == "tf1-299"
    assert torch.equal(detector.network.fc.weight, network.fc.weight)
    torch.save({"fc.weight": network.fc.weight}, file)
    with pytest.raises(ValueError, match="lacks 471 Inception weights"):
        inception.load_published(InceptionV3(), file)
    file.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="is no file of Inception weights"):
        inception.load_published(InceptionV3(), file)


def test_without_weights_it_says_where_they_would_be_found(tmp_path, monkeypatch):
    monkeypatch.delenv(inception.VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ValueError, match="set LDM_INCEPTION to pt_inception-2015-12-05"):
        load_inception()
    monkeypatch.setenv(inception.VARIABLE, str(tmp_path / "absent.pth"))
    with pytest.raises(ValueError, match=r"absent.pth is no file"):
        load_inception()


def checkerboard():
    places = torch.arange(32)
    return (((places[:, None] + places[None]) % 2) * 255.0).expand(1, 3, 32, 32)


def test_tensorflows_bilinear_gives_its_golden_values():
    resized = resize(checkerboard(), 299, "tf1")
    assert resized.double().sum().item() == pytest.approx(34169120.540, abs=1)
    assert resized[0, 0, 0, :5].tolist() == pytest.approx([0, 27.29097, 54.58194, 81.87291, 109.16388], abs=1e-4)


@pytest.mark.parametrize("sides", [(64, 64), (256, 256), (300, 300), (512, 512), (333, 777)])
def test_the_clean_way_is_pils_bicubic_on_floats(sides):
    rng = np.random.default_rng(0)
    for levels in (rng.integers(0, 256, sides), 255 * rng.integers(0, 2, sides)):  # noise, which no filter finds easy
        floats = levels.astype(np.float32)
        theirs = np.asarray(Image.fromarray(floats, "F").resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255)
        ours = resize(torch.from_numpy(floats)[None, None], 299, "clean")[0, 0].numpy()
        assert np.abs(ours - theirs).max() < 0.02, "as resize.py says; 0.012 was found at 300 x 300"


@pytest.mark.parametrize("mode", ["clean", "tf1", "pytorch"])
def test_a_constant_image_stays_constant_and_one_of_the_right_size_as_it_is(mode):
    assert resize(torch.full((1, 3, 40, 60), 77.0), 299, mode).sub(77).abs().max() < 1e-3
    image = torch.rand(1, 3, 299, 299)
    assert resize(image, 299, mode) is image


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="resize must be one of clean, tf1, pytorch, got 'best'"):
        resize(torch.zeros(1, 3, 8, 8), 299, "best")
