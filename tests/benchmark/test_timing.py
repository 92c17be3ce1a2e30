import itertools

import numpy as np
import pytest

from hevitpose.benchmark import timing
from hevitpose.benchmark.timing import Case, Measurement, Sample, example, figures, run_for, undisturbed_sample
from hevitpose.core.errors import InputError


class Clock:
    """Stands still but while `run` takes its known seconds, one after another."""

    def __init__(self, *seconds):
        self.seconds, self.now = itertools.cycle(seconds), 0.0

    def __call__(self):
        return self.now

    def run(self):
        self.now += next(self.seconds)


@pytest.mark.parametrize(
    ("seconds", "wanted", "runs"),
    [
        ((9.0, 0.125, 0.125, 0.125, 0.125), 0.5, [0.125] * 4),  # the first run, which warms up, does not count
        ((1.0, 2.0, 3.0), 0.5, [2.0, 3.0]),  # two at least
    ],
)
def test_runs_until_the_time_is_over(seconds, wanted, runs):
    clock = Clock(*seconds)
    turn = run_for(clock.run, wanted, clock, clock)
    np.testing.assert_allclose(turn.seconds, runs)
    np.testing.assert_allclose(turn.processor_s, seconds[0] + sum(runs))


def test_figures_and_the_ratio_of_quiet_rounds():
    slow, fast = (
        Measurement([Sample([factor * t] * 10, 0.0, undisturbed=t < 4) for t in (0.1, 0.3, 4.0)], memory)
        for factor, memory in ((1.0, 30_000_000), (0.5, None))
    )
    assert figures(slow, 8) == {
        "p50_ms": 200.0,
        "p95_ms": 300.0,
        "images_per_second": 40.0,
        "memory_mb": 30.0,
        "runs": 20,
        "quiet": 0.67,
    }
    found = figures(fast, 1, slow)
    assert (found["ratio"], found["memory_mb"], found["p50_ms"]) == (0.5, None, 100.0)


def test_the_ratio_is_that_of_most_rounds():
    own, theirs = (Measurement([Sample([t], 0.0) for t in times], None) for times in ((1, 1, 9), (2, 2, 1)))
    assert figures(own, 1, theirs)["ratio"] == 0.5
    noisy = Measurement([Sample([t], 0.0, undisturbed=False) for t in (4, 4, 4)], None)
    assert figures(noisy, 1, theirs)["ratio"] == 2
    assert figures(noisy, 1)["p50_ms"] == 4000


@pytest.mark.parametrize(
    ("others", "taken", "undisturbed"),
    [((0.0,), 0, True), ((9.0, 0.0), 1, True), ((9.0, 9.0, 9.0), 1, False)],
)
def test_a_disturbed_turn_is_repeated(monkeypatch, others, taken, undisturbed):
    turns = [Sample([seconds], 2.0) for seconds in (3.0, 1.0, 2.0)]
    remaining, busy = iter(turns), [0.0]

    def turn():
        taken = next(remaining)
        busy[0] += taken.processor_s + others[turns.index(taken)]
        return taken

    monkeypatch.setattr(timing, "busy_seconds", lambda: busy[0])
    found = undisturbed_sample(turn)
    assert (found.seconds, found.undisturbed) == (turns[taken].seconds, undisturbed)


@pytest.mark.parametrize(
    ("shape", "dtype", "filled"),
    [
        ((None, None, None, 3), "u1", (2, 64, 32, 3)),
        ((None, 3, None, None), "f4", (2, 3, 64, 32)),
        ((2, 3, 48, 48), "f4", (2, 3, 48, 48)),
    ],
)
def test_open_sides_of_an_input_are_filled(shape, dtype, filled):
    case = Case("net.onnx", "onnx", "fp32", 2, 1, (64, 32))
    numbers = example(shape, np.dtype(dtype), case)
    assert (numbers.shape, numbers.dtype) == (filled, np.dtype(dtype))
    assert numbers.max() > (200 if dtype == "u1" else 0.9)


def test_a_file_of_another_batch_is_refused():
    with pytest.raises(InputError, match=r"net.onnx: takes batches of 1 only"):
        example((1, 3, 8, 8), np.dtype("f4"), Case("net.onnx", "onnx", "fp32", 2, 1, (64, 32)))
