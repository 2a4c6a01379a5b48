"""Where networks are while they work, and afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ldm_core.placement import Placement


class Noting(nn.Linear):
    """A network that notes where it is sent: a second device is on few machines."""

    def __init__(self):
        super().__init__(1, 1)
        self.sent: list[str] = []

    def to(self, device):
        self.sent.append(str(device))
        return self


@pytest.fixture
def offloading():
    placement = Placement("cpu", offload=True)
    placement.device = torch.device("cuda")  # only named: nothing is moved there
    return placement


def test_offloaded_networks_are_on_the_device_only_while_they_work(offloading):
    networks = [Noting(), Noting()]
    with offloading.using(*networks):
        assert [network.sent for network in networks] == [["cuda"], ["cuda"]]
    assert [network.sent for network in networks] == [["cuda", "cpu"], ["cuda", "cpu"]]
    assert str(offloading.home) == "cpu"


def test_a_network_that_fails_leaves_the_device_too(offloading):
    network = Noting()
    with pytest.raises(RuntimeError), offloading.using(network):
        raise RuntimeError("out of memory")
    assert network.sent == ["cuda", "cpu"]


def test_without_offloading_nothing_moves():
    placement, network = Placement("cpu"), Noting()
    with placement.using(network):
        pass
    assert network.sent == [] and placement.home == placement.device


def test_a_loop_that_is_left_early_leaves_the_device(tiny_folder):
    import ldm_core

    model = ldm_core.load(str(tiny_folder), device="cpu", dtype="float32", offload=True)
    model.placement.device = torch.device("meta")  # named in place of a second device; the network only notes it
    sent = []
    model.denoiser.network.to = lambda device: sent.append(str(device))
    encode = next(model.conditioner.networks)
    encode.to = lambda device: None
    model.device = torch.device("cpu")
    states = model.denoise("a house", 3, 2.0, steps=3)
    next(states)
    assert sent == ["meta"]
    states.close()
    assert sent == ["meta", "cpu"]
