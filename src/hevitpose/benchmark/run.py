"""Measure networks in every combination of runtime, precision, batch and threads."""

import itertools
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hevitpose.benchmark.models import BenchmarkModel, prepare_model, unsupported_reason
from hevitpose.benchmark.timing import Case, Measurement, Precision, figures, measure
from hevitpose.core.errors import InputError
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.inference.backends import Runtime


@dataclass(frozen=True)
class Plan:
    """What to measure; each case is sampled for `seconds`.

    `side`: of the crops, where a file leaves it open. `reference`: the model by whose time ratios divide.
    """

    models: Sequence[str]
    reference: str
    runtimes: Sequence[Runtime] = ("onnx",)
    precisions: Sequence[Precision] = ("fp32",)
    batches: Sequence[int] = (1,)
    threads: Sequence[int] = (1,)
    side: int = 256
    seconds: float = 3.0

    def __post_init__(self) -> None:
        if self.reference not in self.models:
            raise InputError(f"`reference={self.reference}`", "is not one of `models`")


def run_benchmark(plan: Plan, on_progress: OnProgress = ignore_progress) -> dict[str, Any]:
    """One row per case that could be measured, and a line in `left_out` for each of the others. Raises InputError."""
    left_out: list[str] = []
    kinds: list[tuple[Runtime, Precision]] = []
    for runtime, precision in itertools.product(plan.runtimes, plan.precisions):
        if reason := unsupported_reason(runtime, precision):
            left_out.append(f"{precision} in {runtime}: {reason}")
        else:
            kinds.append((runtime, precision))
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        models = _prepare(plan, {runtime for runtime, _ in kinds}, Path(folder), on_progress)
        reference = models[list(plan.models).index(plan.reference)]
        for batch, threads in itertools.product(plan.batches, plan.threads):
            cases = [
                (model, Case(str(model.files[runtime]), runtime, precision, batch, threads, (plan.side, plan.side)))
                for model in models
                for runtime, precision in kinds
                if runtime in model.files and not (model.int8 and precision != "fp32")
            ]
            measured = measure([case for _, case in cases], plan.seconds, on_progress)
            results = list(zip(cases, measured, strict=True))
            references = {
                (case.runtime, case.precision): result
                for (model, case), result in results
                if model is reference and isinstance(result, Measurement)
            }
            for (model, case), result in results:
                if isinstance(result, InputError):
                    left_out.append(f"{model.title} in {case.runtime}, batch {batch}: {result.reason}")
                else:
                    base = references.get((case.runtime, case.precision))
                    rows.append({**_row(model, case), **figures(result, batch, base)})
    return {"size": plan.side, "reference": plan.reference, "rows": rows, "left_out": left_out}


def _prepare(plan: Plan, runtimes: set[Runtime], folder: Path, on_progress: OnProgress) -> list[BenchmarkModel]:
    """The models, which are called as in the plan where two have the same name."""
    models = []
    for done, name in enumerate(plan.models):
        on_progress(Progress(f"preparing {name}", done, len(plan.models)))
        models.append(prepare_model(name, runtimes, plan.side, folder))
    names = Counter(model.model for model in models)
    return [
        model if names[model.model] == 1 else replace(model, model=name, title=name)
        for model, name in zip(models, plan.models, strict=True)
    ]


def _row(model: BenchmarkModel, case: Case) -> dict[str, object]:
    return {
        "model": model.model,
        "title": model.title,
        "random": model.random,
        "parameters": model.parameters,
        "runtime": case.runtime,
        "precision": "int8" if model.int8 else case.precision,
        "batch": case.batch,
        "threads": case.threads,
    }
