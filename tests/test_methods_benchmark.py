"""The benchmark of training steps, in small: what it counts, and that both steps are the same."""

from collections.abc import Iterator

import pytest
import torch

from benchmarks.methods import QUICK_BATCH, Case, Config, measure
from models import htnet


@pytest.fixture
def torch_settings() -> Iterator[None]:
    """The benchmark sets them for its process."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.mark.slow
def test_both_steps_train_alike_and_the_products_are_counted(torch_settings: None) -> None:
    result = measure(Case("htnet", "float32", Config(rounds=2, threads=1, quick=True)))
    ours, plain = result["losses"]["ours"], result["losses"]["plain"]
    assert len(ours) == 3 and ours == pytest.approx(plain, rel=1e-4)
    assert ours[0] != ours[-1]
    assert min(*result["seconds"].values(), *result["peak_gb"].values()) > 0
    assert result["useful_tflop"] * 1e12 == pytest.approx(htnet_flop(), rel=1e-12)


def htnet_flop() -> int:
    """Two for each weight of a product and place; again for the gradients of input and weight.

    The first product has no gradient of its input. No q and k; all nine taps of a convolution.
    """
    dim, repeats = htnet.small["dim"], htnet.small["block_repeats"]
    embedding = 16 * 147 * dim
    weights = 3 * dim * 4
    for stage, depth in enumerate(repeats):
        places, width = 16 // 4**stage, dim * 2**stage
        inner = 3 * 2**stage * (width // (3 * 2**stage))
        weights += depth * places * (2 * width * inner + 8 * width**2)
        weights += places * 9 * width * 2 * width if stage < 2 else 0
    return 2 * QUICK_BATCH * (3 * weights + 2 * embedding)
