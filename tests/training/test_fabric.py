import pytest
import torch

from hevitpose.core.errors import InputError
from hevitpose.training.fabric import Hardware, make_fabric


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_one_line():
    with pytest.raises(InputError, match=r"^`device=cuda`: cannot be used \(") as error:
        make_fabric(Hardware(device="cuda"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("precision", "dtype", "said"), [("fp32", torch.float32, "float32"), ("bf16", torch.bfloat16, "bfloat16")]
)
def test_products_are_of_the_precision_that_is_said(precision, dtype, said, caplog):
    with caplog.at_level("INFO"):
        fabric = make_fabric(Hardware(device="cpu", precision=precision))
    assert f"device: cpu; {said}" in caplog.messages
    network = torch.nn.Linear(2, 2)
    model, _ = fabric.setup(network, torch.optim.SGD(network.parameters()))
    with fabric.autocast():
        assert model.module.weight.dtype == torch.float32
        assert torch.nn.functional.linear(torch.ones(1, 2), model.module.weight).dtype == dtype
