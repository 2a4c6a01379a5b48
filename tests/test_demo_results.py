"""The tab of results: what a run shows, what it does not, and that nothing outside its folder is read."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from urllib.parse import parse_qs

import pandas as pd
import pytest
from PIL import Image
from visits import Visit

from demo import app
from demo.links import read_link
from demo.runs import Runs, without_paths
from demo.session import Session
from demo.tabs import results
from demo.text_to_image import NAMES
from evaluation.run import main as evaluation_run
from ldm_core.images import load_png, save_png
from ldm_core.recipe import Recipe, read_png

FIRST = Path(__file__).parent / "first_house" / "run"


def sealed(run: Path) -> None:
    """Gives a run's pictures their recipes, as the evaluation writes them; those of the first house have none."""
    for row in pd.read_csv(run / "images.csv").itertuples():
        known = {"model": "fashion", "prompt": row.prompt, "seed": row.seed, "guidance_scale": row.guidance_scale}
        known |= {"steps": 2, "scheduler": "ddim", "height": 32, "width": 32}
        save_png(run / row.file, load_png(run / row.file), Recipe.from_json(json.dumps(known)).to_png_text())


@pytest.fixture
def folder(tmp_path):
    """Two runs, one of which was made from a model and prompts in folders of somebody's."""
    shutil.copytree(FIRST, tmp_path / "runs" / "clothes")
    sealed(tmp_path / "runs" / "clothes")
    shutil.copytree(FIRST, tmp_path / "runs" / "other")
    path = tmp_path / "runs" / "other" / "run.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"model": "/srv/secret/models/mine", "prompts": "/srv/secret/words.txt"}))
    return tmp_path / "runs"


@pytest.fixture
def session(tiny, folder):
    return Session(tiny, runs=Runs(folder))


def test_a_run_or_a_folder_of_runs_is_opened_and_anything_else_is_one_line(folder, tmp_path):
    assert Runs(folder).names() == ["clothes", "other"] and Runs(folder / "clothes").names() == ["clothes"]
    with pytest.raises(ValueError, match="must be a folder"):
        Runs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no run: neither it nor a folder in it has run\.json"):
        Runs(tmp_path / "empty")


def test_the_table_holds_the_runs_own_values_and_the_grid_its_pictures(folder):
    runs = Runs(folder)
    view, words, group, _ = results.opened(runs, "clothes")
    summary = runs.open("clothes").run.summary
    value = summary[(summary["metric"] == "fd_fashion") & (summary["guidance_scale"] == 2)]["value"].iloc[0]
    assert words == "" and group.visible is False and f'data-value="{value:.9g}"' in view
    assert view.count("data-image=") == 12 and "a photo of a t-shirt" in view and "<th" in view
    assert re.search(r"<tr><th scope=\"row\" data-value=\"0\">w = 1</th>", view) and "fd_fashion ↓" in view


def test_no_path_of_the_server_stands_in_the_page(folder, session):
    for name in ("clothes", "other"):
        view = results.opened(session.runs, name)[0]
        assert str(folder) not in view and "/srv" not in view
        assert str(folder) not in results.looked_at(session, session.runs, name, 0)
    assert "mine on words.txt" in view
    assert without_paths("made of /home/me/x.txt and/or ~/y/z.png, https://a.example/b/c") == (
        "made of x.txt and/or z.png, https://a.example/b/c"
    )


def test_a_click_shows_the_picture_its_scores_and_the_link_that_draws_it_again(session, folder):
    run = session.runs.open("clothes")
    cell = results.looked_at(session, session.runs, "clothes", 1)
    recipe = read_png(run.picture(1))
    query = parse_qs(re.search(r'href="\?([^"]+)"', cell)[1].replace("&amp;", "&"), keep_blank_values=True)
    assert set(query) == set(NAMES) and query["seed"] == [str(recipe.seed)] and query["model"] == ["fashion"]
    assert query["prompt"] == [recipe.prompt] and query["guidance_scale"] == ["2.0"]
    row = run.images.iloc[1]
    assert f"<dd>{row['vae_psnr_generated']:.4g}</dd>" in cell and f"seed {row['seed']}" in cell


def test_a_run_of_today_by_a_model_in_a_folder_is_drawn_again_and_the_folder_is_not_told(tiny, tiny_folder, tmp_path):
    (tmp_path / "p.txt").write_text("a red house on the left\na boat on a lake at night\n")
    fixed = f"--model {tiny_folder} --prompts {tmp_path / 'p.txt'} --device cpu --dtype fp32 --steps 1 --guidance-scales 1,3"
    given = [
        *fixed.split(),
        "--images-per-prompt",
        "2",
        "--metrics",
        "clip_scenes,vae_psnr",
        "--out",
        str(tmp_path / "run"),
    ]
    assert evaluation_run(given) == 0
    session = Session(tiny, runs=Runs(tmp_path / "run"))
    view = results.opened(session.runs, "run")[0]
    assert "w = 3" in view and "clip_scenes ↑" in view and "vae_psnr ↑" in view and view.count("data-image=") == 4
    cell = results.looked_at(session, session.runs, "run", 0)
    query = parse_qs(re.search(r'href="\?([^"]+)"', cell)[1].replace("&amp;", "&"), keep_blank_values=True)
    values, wrong = read_link(session, NAMES, {name: found[0] for name, found in query.items()})
    assert wrong == "" and values[NAMES.index("model")] == tiny.spec.reference
    assert "nearly the same picture, not the same to the last bit" in cell and "rows a network call, here as" in cell
    assert cell.count("data-image=") == 2, "the two images of this prompt"
    assert (
        str(tmp_path) not in view + cell and str(tiny_folder) not in view + cell and str(tiny_folder.parent) not in view
    )


def test_a_picture_without_a_recipe_is_shown_and_says_so(session, folder):
    path = folder / "clothes" / session.runs.open("clothes").images["file"].iloc[0]
    Image.new("RGB", (32, 32), "teal").save(path)
    cell = results.looked_at(session, session.runs, "clothes", 0)
    assert "carries no recipe" in cell and "Open in Draw" not in cell and "data:image" in cell


@pytest.mark.parametrize("image", [-1, 12, 1.5, True, None, "0", [0], 10**30])
def test_there_are_no_other_pictures(session, image):
    assert "no such picture" in results.looked_at(session, session.runs, "clothes", image)


@pytest.mark.parametrize("name", ["../clothes", "", "/etc", None, ["clothes"], "clothes/..", "."])
def test_there_are_no_other_runs(session, name):
    assert "no such run" in results.opened(session.runs, name)[1]
    assert "no such run" in results.looked_at(session, session.runs, name, 0)


def test_nothing_outside_the_folder_is_read(session, folder, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (64, 64), "red").save(secret)
    table = folder / "clothes" / "images.csv"
    first, second = session.runs.open("clothes").images["file"][:2]
    table.write_text(table.read_text().replace(first, "../../secret.png"))
    (folder / "clothes" / second).unlink()
    (folder / "clothes" / second).symlink_to(secret)
    run = session.runs.open("clothes")
    assert run.images["file"].iloc[0] == "../../secret.png" and run.picture(0) is run.picture(1) is None
    assert results.opened(session.runs, "clothes")[0].count("not there") == 2
    assert "not in the run's folder" in results.looked_at(session, session.runs, "clothes", 0)
    (tmp_path / "else").mkdir()
    shutil.move(folder / "other" / "summary.csv", tmp_path / "else" / "summary.csv")
    (folder / "other" / "summary.csv").symlink_to(tmp_path / "else" / "summary.csv")
    assert "cannot be shown" in results.opened(session.runs, "other")[1]


@pytest.mark.parametrize("file", ["run.json", "summary.csv", "images.csv"])
@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"\xff\xfe\x00", b"metric,value\n1,2", b"[]", b"file,prompt_id\nx,\n"]
)
def test_a_damaged_run_is_one_sentence(folder, file, content):
    runs, path = Runs(folder), folder / "clothes" / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    view, words, *_ = results.opened(runs, "clothes")
    assert view == "" and words.count(".") <= 2 and str(folder) not in words
    assert "cannot be shown" in words or "no such run" in words
    assert results.opened(runs, "other")[0], "others are shown all the same"


def test_the_start_names_the_folder_or_the_tab_says_how(capsys, monkeypatch, tmp_path, tiny):
    monkeypatch.setenv("LDM_RESULTS", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit):
        app.main(["--port", "0"])
    with pytest.raises(SystemExit):
        app.main(["--port", "7999", "--results", str(tmp_path / "nowhere")])
    assert "--results (LDM_RESULTS) must be a folder" in capsys.readouterr().err
    page = app.build(Session(tiny))
    assert any("--results runs" in str(getattr(block, "value", "")) for block in page.blocks.values())


def test_a_visitor_sorts_looks_and_draws_again(browser, demo_server_with_results):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    visit = Visit(browser, demo_server_with_results, viewport={"width": 1280, "height": 900})
    visit.tab("Results")
    visit.page.wait_for_selector("#run .sortable")
    values = "[...document.querySelectorAll('.sortable tbody tr')].map(r => Number(r.cells[1].dataset.value))"
    heading = visit.page.locator(".sortable th button").nth(1)
    for sort in (sorted, lambda found: sorted(found, reverse=True)):
        heading.click()
        *found, last = visit.page.evaluate(values)
        assert found == sort(found) and len(set(found)) == 2 and math.isnan(last), "what has no value comes last"
    visit.page.locator(".cells button").first.click()
    visit.page.wait_for_selector("#cell img")
    link = visit.page.locator("#cell a.open").get_attribute("href")
    for name in ("Results", "About"):
        visit.tab(name)
        visit.page.wait_for_timeout(300)
        found = axe.Axe().run(visit.page).response["violations"]
        assert not [each["id"] for each in found if each["impact"] in ("serious", "critical")], name
    assert not [text for text in visit.errors if "favicon" not in text]
    visit.page.goto(f"{demo_server_with_results}/{link}")
    visit.wait_for_words("These are the link's settings")
    assert "fashion" in visit.page.inner_text("#header")
    visit.page.close()


@pytest.fixture
def demo_server_with_results(folder):
    """The page with a run to look at."""
    from conftest import free_port

    session = Session.load("fashion", runs=Runs(folder / "clothes"))
    page = app.build(session)
    page.openings.draw("results").join()
    _, address, _ = page.launch(
        server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, quiet=True, **app.launch_options()
    )
    yield address.rstrip("/")
    page.close()


def test_without_a_folder_an_example_that_ships_is_shown_and_it_is_of_the_weights_that_ship(browser, demo_server):
    run, model = Runs(results.EXAMPLE).open("example"), demo_server.session.model
    weights = run.run.facts.protocol["weights"]
    remake = "evaluation.run --prompts prompts/scenes.txt --limit 6 --guidance-scales 1,2,4 --metrics scene_accuracy,clip_scenes,vae_psnr"
    assert weights == model.weights, f"make demo/example anew: python -m {remake} --out runs/example"
    assert "/" not in run.run.facts.command.replace("prompts/scenes.txt", "").replace("runs/example", "")
    for image in range(len(run.images)):
        recipe = read_png(run.picture(image))
        assert recipe.is_of_model(model.recipe(recipe.prompt, recipe.seed))
    demo_server.openings.draw("results").join()
    visit = Visit(browser, demo_server.address)
    visit.tab("Results")
    visit.page.wait_for_selector("#run [data-image]")
    assert "an example that ships" in visit.page.inner_text("body")
    visit.page.locator("#run [data-image]").first.click()
    visit.page.wait_for_selector("#cell >> text=Open in Draw")
    visit.page.close()
    demo_server.openings.begun = False  # the page is other tests' too
    demo_server.openings.drawn.clear()
