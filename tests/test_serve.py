"""Pictures by HTTP: the shape of OpenAI's images, together in one turn, refused in words, no prompt in a log."""

from __future__ import annotations

import asyncio
import base64
import io
import logging

import httpx
import pytest
import torch
from PIL import Image

from demo.batching import Batcher, Wanted
from demo.serve import Service, main
from demo.session import Limits, Session
from ldm_core.images import from_pil
from ldm_core.recipe import Recipe
from ldm_core.settings import SamplingSettings

PATH = "/v1/images/generations"
SETTINGS = SamplingSettings.of(steps=2, guidance_scale=2.0)


@pytest.fixture(scope="module")
def service(tiny):
    made = Service(Session(tiny, Limits(steps=20, waiting_per_address=6)))
    yield made
    made.close()


def asked(service: Service, *bodies: object, host: str = "localhost") -> list[httpx.Response]:
    """The answers to requests that are made at the same time."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=service.app())
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http:
            return await asyncio.gather(*(http.post(PATH, json=body) for body in bodies))

    return asyncio.run(ask())


def told(service: Service, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=service.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.get(path)

    return asyncio.run(ask())


def test_a_request_as_openai_clients_send_it_gets_pictures_with_their_recipes(service, tiny):
    (answer,) = asked(
        service, {"model": tiny.spec.name, "prompt": "a red house", "n": 2, "size": "32x32", "seed": 7, "user": "x"}
    )
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert set(said) == {"created", "data", "size", "output_format"} and len(said["data"]) == 2
    files = [base64.b64decode(one["b64_json"]) for one in said["data"]]
    pictures = [Image.open(io.BytesIO(file)) for file in files]
    recipes = [Recipe.from_json(picture.text["recipe"]) for picture in pictures]
    assert [(recipe.prompt, recipe.seed) for recipe in recipes] == [("a red house", 7), ("a red house", 8)]
    again = tiny.sample(**recipes[1].sample_settings())[0]
    torch.testing.assert_close(from_pil(pictures[1]), again, atol=1.5 / 255, rtol=0)


def test_requests_that_come_together_are_drawn_in_one_turn(service):
    turns, pictures = service.batcher.counts.turns, service.batcher.counts.pictures
    answers = asked(service, *({"prompt": "a boat", "seed": seed, "steps": 2} for seed in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert service.batcher.counts.pictures - pictures == 4
    assert service.batcher.counts.turns - turns < 4


def test_one_address_may_wait_for_a_few_only(service):
    answers = asked(service, *({"prompt": "a boat", "seed": seed, "steps": 1} for seed in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 6 + [429] * 2
    busy = next(answer for answer in answers if answer.status_code == 429)
    assert busy.headers["retry-after"] == "5" and "let them finish" in busy.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "prompt"),
        ({"prompt": 3}, 400, "prompt"),
        ({"prompt": "x" * 401}, 400, "prompt"),
        ({"prompt": "a", "n": 11}, 400, "n"),
        ({"prompt": "a", "n": True}, 400, "n"),
        ({"prompt": "a", "size": "31x32"}, 400, "size"),
        ({"prompt": "a", "size": [32]}, 400, "size"),
        ({"prompt": "a", "model": "gpt-image-1"}, 404, "model"),
        ({"prompt": "a", "response_format": "url"}, 400, "response_format"),
        ({"prompt": "a", "steps": 21}, 400, "steps"),
        ({"prompt": "a", "seed": 2**32 - 1, "n": 2}, 400, "seed"),
        ({"prompt": "a", "colour": "red"}, 400, "colour"),
        (["a"], 400, "body"),
    ],
)
def test_what_cannot_be_is_refused_by_the_field_and_in_words(service, body, status, field):
    (answer,) = asked(service, body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, field)


def test_a_foreign_name_is_turned_away_and_no_prompt_is_logged(service, caplog):
    with caplog.at_level(logging.DEBUG):
        (answer,) = asked(service, {"prompt": "a secret house"}, host="evil.example")
        asked(service, {"prompt": "a secret house", "steps": 1})
    assert answer.status_code == 421
    assert "secret" not in caplog.text


def test_health_models_and_metrics_are_told(service, tiny):
    assert told(service, "/health").json() | {"status": "ok"} == told(service, "/health").json()
    assert [one["id"] for one in told(service, "/v1/models").json()["data"]] == [tiny.spec.name]
    lines = dict(line.rsplit(" ", 1) for line in told(service, "/metrics").text.splitlines())
    assert float(lines["ldm_pictures_total"]) == service.batcher.counts.pictures > 0
    assert lines["ldm_waiting"] == "0"


def test_a_turn_that_fails_is_its_requests_own_and_the_next_goes_on(tiny):
    batcher = Batcher(tiny, together=1)
    wrong = batcher.ask(Wanted("a", 1, SETTINGS.replaced(height=33)))
    right = batcher.ask(Wanted("a", 1, SETTINGS))
    with pytest.raises(ValueError, match="height must be a positive multiple"):
        wrong.result(60)
    assert right.result(60).shape == (3, 32, 32)
    batcher.close()
    assert not batcher.thread.is_alive()


def test_a_port_that_cannot_be_is_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--port", "99999"])
    assert stopped.value.code == 2
    assert "--port" in capsys.readouterr().err
