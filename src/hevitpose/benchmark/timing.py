"""How fast networks run.

Each case of a comparison lives in a process of its own, so that its memory and its threads are its own; all are
measured in turn, round after round, so that whatever slows the machine down slows all of them down.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.errors import InputError
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.inference.backends import Runtime, RuntimeOptions, TorchHeatmaps, compile_openvino, onnx_session

Precision = Literal["fp32", "bf16"]
SAMPLE_S = 0.25
"""Seconds that a case is measured before the next one's turn."""
MIN_RUNS = 2
QUIET, TRIES = 0.05, 3
"""A turn in which other programs took a larger share of the processor is repeated, up to so many times in all."""


@dataclass(frozen=True)
class Case:
    """What is measured: a file in a runtime. Open sides of its inputs are filled with `batch` and `size_hw`."""

    path: str
    runtime: Runtime
    precision: Precision
    batch: int
    threads: int
    size_hw: tuple[int, int]


@dataclass(frozen=True)
class Sample:
    """Seconds of each run, of the processor in all; whether other programs kept still."""

    seconds: list[float]
    processor: float
    undisturbed: bool = True


@dataclass(frozen=True)
class Measurement:
    """`rounds` of one case, and by how many bytes its process grew at most (None where nobody says)."""

    rounds: list[Sample]
    memory: int | None


def measure(
    cases: Sequence[Case], seconds: float, on_progress: OnProgress = ignore_progress
) -> list[Measurement | InputError]:
    """Measure each case for so many seconds, in turns of a quarter; an InputError stands for one that cannot be run."""
    with ExitStack() as stack:
        workers: list[Worker | InputError] = []
        for number, case in enumerate(cases, start=1):
            on_progress(Progress("loading", number, len(cases)))
            try:
                workers.append(stack.enter_context(Worker(case)))
            except InputError as error:
                workers.append(error)
        rounds = max(1, round(seconds / SAMPLE_S))
        turns: dict[Worker, list[Sample]] = {each: [] for each in workers if isinstance(each, Worker)}
        for number in range(1, rounds + 1):
            on_progress(Progress("round", number, rounds))
            for worker, own in turns.items():
                own.append(undisturbed_sample(worker.turn))
        return [Measurement(turns[each], each.memory) if isinstance(each, Worker) else each for each in workers]


def figures(measured: Measurement, batch: int, reference: Measurement | None = None) -> dict[str, Any]:
    """Median and 95th percentile of a run in ms, images/s, MB, and the share of undisturbed samples (preferred).

    `ratio`: the median, over the rounds, of the time in terms of the reference's in the same round.
    """
    seconds = [second for turn in undisturbed_samples(measured.rounds) for second in turn.seconds]
    found = {
        "p50_ms": round(1000 * float(np.percentile(seconds, 50)), 3),
        "p95_ms": round(1000 * float(np.percentile(seconds, 95)), 3),
        "images_per_second": round(batch * len(seconds) / sum(seconds), 2),
        "memory_mb": None if measured.memory is None else round(measured.memory / 1e6, 1),
        "runs": len(seconds),
        "quiet": round(statistics.fmean(turn.undisturbed for turn in measured.rounds), 2),
    }
    if reference is not None:
        rounds = list(zip(measured.rounds, reference.rounds, strict=True))
        both_quiet = [(own, theirs) for own, theirs in rounds if own.undisturbed and theirs.undisturbed]
        medians = [[statistics.median(turn.seconds) for turn in both] for both in both_quiet or rounds]
        found["ratio"] = round(statistics.median(own / theirs for own, theirs in medians), 3)
    return found


def undisturbed_samples(turns: Sequence[Sample]) -> Sequence[Sample]:
    """The undisturbed turns, or all where there is none."""
    return [turn for turn in turns if turn.undisturbed] or turns


def run_for(
    run: Callable[[], object],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    processor: Callable[[], float] = time.process_time,
) -> Sample:
    """Run once to get warm, then until the seconds are over, at least twice."""
    before, times = processor(), list[float]()
    run()
    while sum(times) < seconds or len(times) < MIN_RUNS:
        begin = clock()
        run()
        times.append(clock() - begin)
    return Sample(times, processor() - before)


def undisturbed_sample(turn: Callable[[], Sample]) -> Sample:
    """The first sample that other programs did not disturb, else the fastest one, marked as disturbed."""
    found = []
    for _ in range(TRIES):
        begin, busy, own = time.perf_counter(), busy_seconds(), time.process_time()
        taken = turn()
        others = busy_seconds() - busy - taken.processor - (time.process_time() - own)
        if others <= QUIET * (time.perf_counter() - begin) * (os.cpu_count() or 1):
            return taken
        found.append(Sample(taken.seconds, taken.processor, undisturbed=False))
    return min(found, key=lambda each: statistics.median(each.seconds))


def busy_seconds() -> float:
    """Seconds that all programs have kept the processors busy since the start (Linux; else 0: nothing is noise)."""
    try:
        fields = [int(field) for field in Path("/proc/stat").read_text().split()[1:9]]
    except OSError:
        return 0.0
    user, nice, system, _, _, interrupts, soft_interrupts, stolen = fields
    return (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")


class Worker:
    """A process that runs one case when it is told to. Entering it raises InputError where it cannot."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.memory: int | None = None

    def __enter__(self) -> "Worker":
        command = [sys.executable, "-m", "hevitpose.benchmark.timing", json.dumps(asdict(self.case))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self._answer()
        except InputError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def turn(self) -> Sample:
        """One turn of the case, which also updates `memory`."""
        assert self.process.stdin is not None  # noqa: S101 - it was made with a pipe
        with suppress(BrokenPipeError):  # that there is no answer says it too
            self.process.stdin.write("turn\n")
            self.process.stdin.flush()
        answer = self._answer()
        self.memory = answer["memory"]
        return Sample(answer["seconds"], answer["processor"])

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None  # noqa: S101 - it was made with a pipe
        line = self.process.stdout.readline()
        if not line:
            raise InputError(self.case.path, f"its process ended in {self.case.runtime}, as for want of memory")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise InputError(self.case.path, answer["error"])
        return answer


def work(text: str) -> None:
    """What a worker's process does: one line of JSON when the case is loaded, and one after each turn."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print must not come between
    settings = json.loads(text)
    case = Case(**settings | {"size_hw": tuple(settings["size_hw"])})

    def answer(**content: object) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    RUNNERS[case.runtime](None)
    start = resident("VmRSS")
    try:
        run = RUNNERS[case.runtime](case)
        run()
    except InputError as error:
        answer(error=error.reason)
        return
    except Exception as error:  # each runtime has its own
        answer(error=" ".join(str(error).split()))
        return
    answer()
    # One thread's own time is less disturbed by other programs than the clock on the wall.
    clock = time.process_time if case.threads == 1 else time.perf_counter
    for _ in sys.stdin:
        turn = run_for(run, SAMPLE_S, clock)
        peak = resident("VmHWM")
        grown = None if start is None or peak is None else peak - start
        answer(seconds=turn.seconds, processor=turn.processor, memory=grown)


def resident(field: str) -> int | None:
    """Bytes in memory that the system counts for this process: now (VmRSS) or at most (VmHWM); Linux only."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), None)


def example(shape: Sequence[int | None], dtype: np.dtype[Any], case: Case) -> NDArray[Any]:
    """Random numbers for an input: an open first side is the batch, those after it height and width, others 1.

    Raises InputError where the file has another batch.
    """
    sides = [*case.size_hw, *(1 for _ in shape)]
    filled = [case.batch if i == 0 and side is None else side or sides.pop(0) for i, side in enumerate(shape)]
    if filled and filled[0] != case.batch:
        raise InputError(case.path, f"takes batches of {filled[0]} only")
    numbers = np.random.default_rng(0).random(filled)
    return (255 * numbers if np.issubdtype(dtype, np.integer) else numbers).astype(dtype)


def onnx_runner(case: Case | None) -> Callable[[], object]:
    """All outputs of an ONNX file; without a case, only what has to be imported for it (so too the others)."""
    import_module("onnxruntime")
    if case is None:
        return list
    session = onnx_session(Path(case.path), RuntimeOptions(threads=case.threads))
    types = {"tensor(float)": "f4", "tensor(float16)": "f2", "tensor(double)": "f8", "tensor(uint8)": "u1"}
    feeds = {}
    for each in session.get_inputs():
        shape = [side if isinstance(side, int) else None for side in each.shape]
        dtype = types.get(each.type, each.type.removeprefix("tensor(").removesuffix(")"))
        feeds[each.name] = example(shape, np.dtype(dtype), case)
    return lambda: session.run(None, feeds)


def openvino_runner(case: Case | None) -> Callable[[], object]:
    import_module("openvino")
    if case is None:
        return list
    compiled, _ = compile_openvino(Path(case.path), case.threads, "bf16" if case.precision == "bf16" else "f32")
    feeds = {}
    for number, port in enumerate(compiled.inputs):
        shape = [side.get_length() if side.is_static else None for side in port.get_partial_shape()]
        feeds[number] = example(shape, port.get_element_type().to_dtype(), case)
    request = compiled.create_infer_request()
    return lambda: request.infer(feeds)


def torch_runner(case: Case | None) -> Callable[[], object]:
    import torch

    from hevitpose.models.weights import load_model

    if case is None:
        return list
    torch.set_num_threads(case.threads)
    backend = TorchHeatmaps(load_model(Path(case.path))[0].eval())
    crops = example((None, None, None, 3), np.dtype("u1"), case)

    def run() -> object:
        with torch.autocast("cpu", torch.bfloat16, enabled=case.precision == "bf16"):
            return backend(crops)

    return run


RUNNERS: Mapping[Runtime, Callable[[Case | None], Callable[[], object]]] = {
    "onnx": onnx_runner,
    "openvino": openvino_runner,
    "torch": torch_runner,
}


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        work(sys.argv[1])
