import pytest
import torch

from hevitpose.core.errors import InputError
from hevitpose.data.find import find_dataset
from hevitpose.models import weights
from hevitpose.models.registry import build_network
from hevitpose.training import loop
from hevitpose.training.batches import Batch
from hevitpose.training.debug_step import FailedStep, debug_step, save_failed_step
from hevitpose.training.fabric import Hardware
from hevitpose.training.loop import train
from hevitpose.training.recipes import Recipe
from hevitpose.training.run import FAILED_STEP

HARDWARE = Hardware(device="cpu", precision="fp32", checkpoint_minutes=0)


@pytest.fixture
def failed(dots, tmp_path, monkeypatch, recipe):
    """A run whose fourth batch holds a pixel that is no number; the weights before each step."""
    real, before = loop.make_batch, []

    def make_batch(*arguments):
        batch = real(*arguments)
        if len(before) == 3:
            batch.inputs[2, 0, 5, 5] = float("inf")
        return batch

    def forward_backward(run, batch):
        before.append({name: tensor.clone() for name, tensor in run.model.module.state_dict().items()})
        return real_forward(run, batch)

    real_forward = loop.forward_backward
    monkeypatch.setattr(loop, "make_batch", make_batch)
    monkeypatch.setattr(loop, "forward_backward", forward_backward)
    with pytest.raises(InputError) as error:
        train(recipe(), find_dataset(str(dots / "dots.toml")), tmp_path, HARDWARE)
    return tmp_path, str(error.value), before


def test_the_run_stops_at_that_step_and_names_it(failed):
    folder, message, _ = failed
    assert "the loss is nan, the gradient norm nan at step 1 of epoch 2, learning rate 0.001: " in message
    assert message.endswith(f"hevitpose debug-step {folder / FAILED_STEP}")
    assert message.count(".png") == 3
    assert "and 5 more" in message


def test_weights_and_moments_are_those_before_the_step(failed):
    folder, _, before = failed
    tensors, _ = weights.load(folder / "checkpoint.safetensors")
    for name, tensor in before[3].items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(tensors[f"model.{name}"], tensor), name
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_running_the_step_again_says_where_it_began(failed):
    folder, _, _ = failed
    lines = debug_step(folder / FAILED_STEP)
    assert lines[0].startswith("step 1 of epoch 2, learning rate 0.001: ")
    assert "inputs: 1 values are not finite" in lines
    assert any(line.startswith("first output that is not finite: embedding") for line in lines)
    # The running statistics of the batch norms, which the step itself has spoilt.
    assert [line for line in lines if "running" in line] == [line for line in lines if "tensors of the network" in line]
    assert len(lines) < 8
    assert lines[-1] == "loss in float32: nan"


def test_networks_with_modules_that_return_lists_are_debugged(tmp_path):
    torch.manual_seed(0)
    batch = Batch(torch.full((2, 3, 32, 32), torch.inf), torch.zeros(2, 16, 8, 8), torch.ones(2, 16))
    network = build_network("hrnet_w32", 16)
    failed = FailedStep(1, 1, 0.1, ["a.png"])
    save_failed_step(tmp_path / FAILED_STEP, network, batch, Recipe(model="hrnet_w32"), failed)
    lines = debug_step(tmp_path / FAILED_STEP)
    assert any(line.startswith("first output that is not finite: backbone.conv1") for line in lines)


def test_another_file_is_refused(failed):
    folder, _, _ = failed
    with pytest.raises(InputError, match="not a failed step of a training run"):
        debug_step(folder / "checkpoint.safetensors")
