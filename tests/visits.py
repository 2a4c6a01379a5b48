"""A visitor's browser: headless Chromium, what a page asked for and complained of."""

from __future__ import annotations

import base64
import re
import shutil
import time

import pytest

from ldm_core.registry import MODELS

SIZE = f"{MODELS['scenes'].width} x {MODELS['scenes'].height}"  # as the demo offers it
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SLOW = 60_000  # milliseconds: a busy machine of two cores


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as started:
        yield (chromium := started.chromium.launch(executable_path=CHROMIUM, args=FLAGS))
        chromium.close()


class Visit:
    """A page, all that it asked for, and all that it complained of."""

    def __init__(self, browser, address, picture=True, **options):
        self.page = browser.new_page(**options)
        self.page.set_default_timeout(SLOW)
        self.requests, self.errors = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)
        self.page.wait_for_selector("#picture img" if picture else "#picture")

    def source(self, selector="#picture img"):
        return self.page.get_attribute(selector, "src")

    def tab(self, name):
        """Opens a tab; on a narrow page some are in a menu."""
        tab = self.page.get_by_role("tab", name=name, exact=True)
        if not tab.is_visible():
            self.page.locator(".overflow-menu > button").first.click()
            tab = self.page.locator(".overflow-dropdown").get_by_text(name, exact=True)
        tab.click()

    def fill_offered(self, label, text):
        """Fills a box that comes with an example, which may land a moment after its label and would overwrite what is typed."""
        box = self.page.get_by_label(label)
        box.wait_for()
        self.page.wait_for_function("box => box.value !== ''", arg=box.element_handle())
        box.fill(text)
        return box

    def take_steps(self, steps):
        """Opens the settings where they are shut, and sets the number of steps; other tabs take it along."""
        if not self.page.get_by_label("number input for Steps").first.is_visible():
            self.page.get_by_role("button", name="Advanced").first.click()
        self.set_steps(steps)

    def set_steps(self, steps):
        """Types the number of steps, until the slider beside it has it: an input may be filled once more as it comes to be seen."""
        number = self.page.get_by_label("number input for Steps").first
        slider = self.page.locator("input[type=range][aria-label*='Steps']").first
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            number.fill(str(steps))
            number.press("Enter")
            self.page.wait_for_timeout(100)
            if number.input_value() == slider.input_value() == str(steps):
                return
        raise AssertionError(f"the slider stays at {slider.input_value()}, asked for {steps} steps")

    def wait_for_words(self, words, selector="#status"):
        self.page.wait_for_function(
            "([s, w]) => new RegExp(w).test(document.querySelector(s)?.innerText)", arg=[selector, words]
        )

    def bytes_of(self, selector="#picture img"):
        """The file behind a picture."""
        script = """async (s) => { const r = await fetch(document.querySelector(s).src); const b = await r.blob();
            return await new Promise(done => { const f = new FileReader(); f.onload = () => done(f.result); f.readAsDataURL(b) }) }"""
        return base64.b64decode(self.page.evaluate(script, selector).split(",", 1)[1])


@pytest.fixture
def visit(browser, demo_server):
    visit = Visit(browser, demo_server.address, viewport={"width": 1280, "height": 900})
    yield visit
    errors = [text for text in visit.errors if "favicon" not in text]
    visit.page.close()
    assert not errors, errors
    assert all(re.match(r"(http://127\.0\.0\.1|data:|blob:)", url) for url in visit.requests), (
        "asked for something outside"
    )
