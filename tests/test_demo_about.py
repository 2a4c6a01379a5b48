"""Model cards as HTML that brings nothing along, and what the page says of what it keeps."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from demo.cards import card_html, cards
from demo.scratch import AGE
from demo.session import Session
from demo.tabs import about
from ldm_core.registry import WEIGHTS

NASTY = """---
license: mit
---
# A model <img src=x onerror=alert(1)>

<script>alert(1)</script>
<iframe src="http://evil.example"></iframe>

![outside](http://evil.example/track.png) ![up](../secret.png) ![here](own.png) ![data](data:text/html,x)

[web](https://a.example/b?x="y) [script](javascript:alert(1)) [file](../../etc/passwd) [data](data:text/html,hi)

| a | b |
| - | - |
| `<b>` | **2** |

Trained in /home/somebody/data/set.
"""


def test_a_card_brings_no_markup_no_pictures_and_no_links_of_its_own(tmp_path):
    (tmp_path / "model").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "model" / "own.png")
    (tmp_path / "model" / "README.md").write_text(NASTY)
    found = card_html(tmp_path / "model" / "README.md")
    assert "license:" not in found and "<h3>A model " in found and "<code>&lt;b&gt;</code>" in found
    for word in ("<script", "<iframe", "onerror", "evil.example", "/home/somebody"):
        assert word not in found, word
    assert re.findall(r'<img src="([^,]+),', found) == ["data:image/webp;base64"] and 'alt="here"' in found
    links = re.findall(r"<a [^>]*>", found)
    assert len(links) == 1 and 'href="https://a.example/b?x=%22y"' in links[0] and "noopener" in links[0]
    assert found.count("<span>") == found.count("</span>") and "<table>" in found


def test_every_model_that_is_here_has_its_card(tiny, tmp_path):
    known = cards(Session(tiny))
    assert known[tiny.spec.name] is None and "No card" in about.shown(known, tiny.spec.name)
    for name in ("scenes", "fashion", "photo-f4", "photo-f8", "photo-f16"):
        assert known[name] == WEIGHTS / name / "README.md"
        found = about.shown(known, name)
        assert found.count("<img") == 1 and f'alt="samples of {name}"' in found
        assert "MIT" in found and "<table>" in found
    for nonsense in (None, "../scenes", ["scenes"], "best"):
        assert about.shown(known, nonsense) == "There is no such card here."


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"# " * 10**6])
def test_a_folders_card_that_is_none_is_no_failure(tmp_path, content):
    path = tmp_path / "README.md"
    if content is not None:
        path.write_bytes(content)
    assert card_html(path).startswith('<div class="card">')


def test_the_page_promises_what_the_server_does():
    assert AGE == 1800 and "within half an hour" in about.KEPT and "within half an hour" in about.SHORT
