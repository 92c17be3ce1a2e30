import json
from dataclasses import replace

import pytest

from hevitpose.core.errors import InputError
from hevitpose.data.find import find_dataset
from hevitpose.training import budget
from hevitpose.training.budget import parse_budget, parse_time, seconds_of_an_epoch, within_budget
from hevitpose.training.fabric import Hardware
from hevitpose.training.recipes import InputSize, Recipe

HARDWARE = Hardware(device="cpu", precision="fp32")
RECIPE = Recipe(epochs=10, batch_size=8, input_sizes=(InputSize(32, 32),))


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400), ("8h", 28800), ("1.5d", 129600)])
def test_times_are_read(text, seconds):
    assert parse_time(text, "here") == seconds
    assert parse_budget(text, "here") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "is not of the form"), ("90", "is not of the form"), ("0h", "is not of the form"), ("2w", "is not of the")],
)
def test_what_is_no_time_is_refused(text, reason):
    with pytest.raises(InputError, match=f"^here: {reason}"):
        parse_time(text, "here")


def test_a_budget_is_epochs_or_time():
    assert parse_budget("12", "here") == 12
    for text, reason in (("0", "leaves no epoch"), ("-3", "is not of the form"), ("soon", "is not of the form")):
        with pytest.raises(InputError, match=f"^here: {reason}"):
            parse_budget(text, "here")


def test_as_many_epochs_as_fit_and_those_of_a_run_that_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr(budget, "seconds_of_an_epoch", lambda *_: 600.0)
    arguments = (RECIPE, "100m", None, tmp_path, HARDWARE)
    assert within_budget(*arguments, False, "here") == replace(RECIPE, epochs=9)
    (tmp_path / "recipe.json").write_text(json.dumps(replace(RECIPE, epochs=7).as_json()))
    assert [within_budget(*arguments, resume, "here").epochs for resume in (False, True)] == [9, 7]
    assert within_budget(*arguments, False, "here", other_seconds=1200.0).epochs == 7
    with pytest.raises(InputError, match="here: is too short: one epoch takes about 10 minutes, and the detector 90"):
        within_budget(*arguments, False, "here", other_seconds=5400.0)
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(InputError, match=r"recipe\.json: has no number of epochs"):
        within_budget(*arguments, True, "here")
    with pytest.raises(InputError, match=r"^here: is too short: one epoch takes about 10 minutes$"):
        within_budget(RECIPE, "5m", None, tmp_path, HARDWARE, False, "here")


def test_all_processes_take_as_many_epochs_as_the_slowest(monkeypatch, tmp_path):
    monkeypatch.setattr(budget, "seconds_of_an_epoch", lambda *_: 300.0)
    monkeypatch.setattr(budget, "gather", lambda seconds: [seconds, 600.0])
    assert within_budget(RECIPE, "100m", None, tmp_path, HARDWARE, False, "here").epochs == 9


def test_an_epoch_is_measured_without_a_trace(dots, tmp_path):
    dataset = find_dataset(str(dots / "dots.toml"))
    assert 0 < seconds_of_an_epoch(RECIPE, dataset, tmp_path, HARDWARE) < 600
    assert not list(tmp_path.iterdir())
