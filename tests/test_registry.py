"""What a name means: a registry row, a folder, a hub id, or a suggestion."""

from __future__ import annotations

import dataclasses

import pytest

from ldm_core import MODELS
from ldm_core.registry import find


def test_every_row_is_found_by_its_own_name_and_complete():
    for name, spec in MODELS.items():
        assert find(name) is spec and spec.name == spec.reference == name
        assert spec.licence != "unknown" and spec.description and spec.steps >= 1
        assert spec.embedded or spec.download_gb > 0


def test_folders_and_hub_ids_are_taken_as_they_are(tmp_path):
    assert find(str(tmp_path)).reference == str(tmp_path) and not find(str(tmp_path)).embedded
    assert find("someone/some-model").reference == "someone/some-model"


def test_a_folder_named_like_a_registry_row_keeps_its_own_reference(tmp_path):
    (tmp_path / "scenes").mkdir()
    spec = find(str(tmp_path / "scenes"))
    assert spec.name == "scenes" and spec.reference == str(tmp_path / "scenes")


@pytest.mark.parametrize(("name", "suggestion"), [("scens", "scenes"), ("Scenes", "scenes"), ("sd15", "sd1.5")])
def test_a_slip_gets_a_suggestion(name, suggestion):
    with pytest.raises(ValueError, match=f"unknown model '{name}'; did you mean '{suggestion}'"):
        find(name)


@pytest.mark.parametrize("name", ["", "qqq", "./no/where", "/no/where", "a/b/c", "/x", "x/"])
def test_what_is_nothing_is_refused_with_the_known_names(name):
    with pytest.raises(ValueError, match="known: scenes, "):
        find(name)


def test_specs_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODELS["scenes"].steps = 3
