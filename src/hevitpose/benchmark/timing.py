"""Measure latency and memory of networks side by side.

Each case runs in its own process, so that its memory and threads are its own. All cases are sampled in turn, round
after round, so that whatever slows the machine down slows all of them down.
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
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.errors import InputError
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.inference.backends import Runtime, RuntimeOptions, TorchHeatmaps, compile_openvino, onnx_session

Precision = Literal["fp32", "bf16"]
SAMPLE_S = 0.25
"""Seconds for which a case is sampled before the next one's turn."""
MIN_RUNS = 2
MAX_DISTURBANCE = 0.05
"""The share of all processor time that other programs may take during a sample."""
MAX_TRIES = 3
"""How often a sample is taken before a disturbed one is accepted."""


@dataclass(frozen=True)
class Case:
    """A file in a runtime; open dimensions of its inputs are filled with `batch` and `size_hw`."""

    path: str
    runtime: Runtime
    precision: Precision
    batch: int
    threads: int
    size_hw: tuple[int, int]


@dataclass(frozen=True)
class Sample:
    """Seconds of each run, processor seconds of all runs, and whether other programs kept still."""

    seconds: list[float]
    processor_s: float
    undisturbed: bool = True


@dataclass(frozen=True)
class Measurement:
    """One sample per round, and the bytes by which the process grew at most (None if the system does not say)."""

    rounds: list[Sample]
    memory: int | None


def measure(
    cases: Sequence[Case], seconds: float, on_progress: OnProgress = ignore_progress
) -> list[Measurement | InputError]:
    """The measurement of each case, sampled for `seconds` in all, or the InputError of a case that cannot run."""
    with ExitStack() as stack:
        workers: list[Worker | InputError] = []
        for number, case in enumerate(cases, start=1):
            on_progress(Progress("loading", number, len(cases)))
            try:
                workers.append(stack.enter_context(Worker(case)))
            except InputError as error:
                workers.append(error)
        rounds = max(1, round(seconds / SAMPLE_S))
        samples: dict[Worker, list[Sample]] = {each: [] for each in workers if isinstance(each, Worker)}
        for number in range(1, rounds + 1):
            on_progress(Progress("round", number, rounds))
            for worker, own in samples.items():
                own.append(undisturbed_sample(worker.sample))
        return [Measurement(samples[each], each.memory) if isinstance(each, Worker) else each for each in workers]


def figures(measured: Measurement, batch: int, reference: Measurement | None = None) -> dict[str, float | None]:
    """Median and 95th percentile of a run in ms, images/s, MB, and the share of undisturbed samples.

    Disturbed samples count only if there are no others. `ratio`: the median over the rounds of the time divided by the
    reference's in the same round.
    """
    undisturbed = [sample for sample in measured.rounds if sample.undisturbed] or measured.rounds
    seconds = [second for sample in undisturbed for second in sample.seconds]
    found = {
        "p50_ms": round(1000 * float(np.percentile(seconds, 50)), 3),
        "p95_ms": round(1000 * float(np.percentile(seconds, 95)), 3),
        "images_per_second": round(batch * len(seconds) / sum(seconds), 2),
        "memory_mb": None if measured.memory is None else round(measured.memory / 1e6, 1),
        "runs": len(seconds),
        "quiet": round(statistics.fmean(sample.undisturbed for sample in measured.rounds), 2),
    }
    if reference is not None:
        rounds = list(zip(measured.rounds, reference.rounds, strict=True))
        undisturbed_rounds = [both for both in rounds if both[0].undisturbed and both[1].undisturbed]
        medians = [[statistics.median(sample.seconds) for sample in both] for both in undisturbed_rounds or rounds]
        found["ratio"] = round(statistics.median(own / theirs for own, theirs in medians), 3)
    return found


def run_for(
    run: Callable[[], object],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    processor: Callable[[], float] = time.process_time,
) -> Sample:
    """Run once to warm up, then until `seconds` are over, at least twice."""
    before, times = processor(), list[float]()
    run()
    while sum(times) < seconds or len(times) < MIN_RUNS:
        start = clock()
        run()
        times.append(clock() - start)
    return Sample(times, processor() - before)


def undisturbed_sample(take: Callable[[], Sample]) -> Sample:
    """The first sample that other programs did not disturb, or else the fastest one, marked as disturbed."""
    disturbed = []
    for _ in range(MAX_TRIES):
        start, busy, own = time.perf_counter(), busy_seconds(), time.process_time()
        sample = take()
        others = busy_seconds() - busy - sample.processor_s - (time.process_time() - own)
        if others <= MAX_DISTURBANCE * (time.perf_counter() - start) * (os.cpu_count() or 1):
            return sample
        disturbed.append(Sample(sample.seconds, sample.processor_s, undisturbed=False))
    return min(disturbed, key=lambda sample: statistics.median(sample.seconds))


def busy_seconds() -> float:
    """Seconds for which all programs have kept the processors busy since boot; 0 on other systems than Linux."""
    try:
        fields = [int(field) for field in Path("/proc/stat").read_text().split()[1:9]]
    except OSError:
        return 0.0
    user, nice, system, _, _, interrupts, soft_interrupts, stolen = fields
    return (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")


class Worker:
    """A process that runs one case on demand. Entering it raises InputError if the case cannot run."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.memory: int | None = None

    def __enter__(self) -> "Worker":
        command = [sys.executable, "-m", "hevitpose.benchmark.timing", json.dumps(asdict(self.case))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.requests, self.answers = cast("IO[str]", self.process.stdin), cast("IO[str]", self.process.stdout)
        try:
            self._answer()
        except InputError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def sample(self) -> Sample:
        """Sample the case and update `memory`."""
        with suppress(BrokenPipeError):  # the missing answer is reported below
            self.requests.write("sample\n")
            self.requests.flush()
        return self._answer()

    def _answer(self) -> Sample:
        """The next line of the process; the one that says that the case is loaded has no figures."""
        line = self.answers.readline()
        if not line:
            raise InputError(self.case.path, f"its process in {self.case.runtime} ended early, perhaps out of memory")
        answer = json.loads(line)
        if "error" in answer:
            raise InputError(self.case.path, answer["error"])
        self.memory = answer.get("memory")
        return Sample(answer.get("seconds", []), answer.get("processor_s", 0.0))


def work(text: str) -> None:
    """What a worker's process does: write one line of JSON when the case is loaded, and one after each sample."""
    answers, sys.stdout = sys.stdout, sys.stderr  # keeps what libraries print apart
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
    # With one thread, processor time is less disturbed by other programs than wall time.
    clock = time.process_time if case.threads == 1 else time.perf_counter
    for _ in sys.stdin:
        sample = run_for(run, SAMPLE_S, clock)
        peak = resident("VmHWM")
        grown = None if start is None or peak is None else peak - start
        answer(seconds=sample.seconds, processor_s=sample.processor_s, memory=grown)


def resident(field: str) -> int | None:
    """Memory of this process in bytes, now (VmRSS) or at its peak (VmHWM); None on other systems than Linux."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), None)


def example(shape: Sequence[int | None], dtype: np.dtype[Any], case: Case) -> NDArray[Any]:
    """Random numbers for an input: an open first dimension is the batch, the next two height and width, others 1.

    Raises InputError if the file has a fixed batch other than the case's.
    """
    sides = [*case.size_hw, *(1 for _ in shape)]
    filled = [case.batch if i == 0 and side is None else side or sides.pop(0) for i, side in enumerate(shape)]
    if filled and filled[0] != case.batch:
        raise InputError(case.path, f"takes batches of {filled[0]} only")
    numbers = np.random.default_rng(0).random(filled)
    return (255 * numbers if np.issubdtype(dtype, np.integer) else numbers).astype(dtype)


def onnx_runner(case: Case | None) -> Callable[[], object]:
    """Computes all outputs of an ONNX file; without a case, it only imports what is needed (so do the others)."""
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
