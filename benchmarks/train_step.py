"""A training step of CausalNet beside the plain step and a bare matrix product, in one process.

    python -m benchmarks.train_step                  # published, 436 clips; eight minutes, 14 GB
    python -m benchmarks.train_step --config small   # seconds
    python -m benchmarks.train_step --profile        # where the time of our step goes

Reads nothing; the maps are random. The plain step is models/causalnet/reference.py: layer
by layer as the specification states it, with torch.optim.Adam as it comes. Prints a table and one
JSON object.
Peak memory is that of two more steps in a process of their own (Linux): memory that the allocator
keeps from one kind of step would otherwise be missing from the other's.
"""

import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor

from common.errors import run_script
from models import create_model
from models.causalnet.reference import plain_forward

REPEATS = {"published": (3, 3, 9), "small": (1, 1, 2)}
WIDTHS = {"published": 256, "small": 32}
LEARNING_RATE = 5e-5
PASSES = 3
"""A training step costs a forward pass and, for the two gradients of each product, two more."""
PRODUCT_SIDE = 3072
GIGA = 1e9
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Config:
    """What to measure."""

    config: Literal["published", "small"] = "published"
    """Network: published is dim 256, repeats (3,3,9); small is the compact one."""
    batch: int = 436
    """Clips in a step."""
    steps: int = 2
    """Measured steps of each kind, after one to warm up; the median counts."""
    threads: int = 2
    """CPU threads."""
    profile: bool = False
    """Print the operators of one of our steps by their own time, and measure nothing else."""


def main() -> None:
    """Measure in turn and print."""
    config = tyro.cli(Config, description=__doc__)
    torch.set_num_threads(config.threads)
    torch.manual_seed(0)
    maps = torch.rand(config.batch, 4, 3, 28, 28) * 255
    labels = torch.randint(3, (config.batch,))
    if config.profile:
        print_profile(our_step(config, maps, labels))
        return
    before = product_times()
    ours = measure(lambda: our_step(config, maps, labels), config.steps)
    between = product_times()
    plain = measure(lambda: plain_step(config, maps, labels), config.steps)
    seconds = statistics.median(before + between + product_times())
    peaks = {kind: _in_own_process(kind, config, maps, labels) for kind in STEPS}
    report(config, ours, plain, peaks, 2 * PRODUCT_SIDE**3 / seconds / GIGA)


@dataclass(frozen=True)
class Measured:
    """Median seconds of a step, and the losses of all steps."""

    seconds: float
    losses: list[float]


def our_step(config: Config, maps: Tensor, labels: Tensor) -> Callable[[], float]:
    """The suite's network and fused optimizer."""
    network = _network(config)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True)
    return _stepper(lambda: network(maps), labels, optimizer)


def plain_step(config: Config, maps: Tensor, labels: Tensor) -> Callable[[], float]:
    """The plain forward on the same weights; q and k have parameters and gradients here."""
    state = {name: value.detach().clone() for name, value in _network(config).state_dict().items()}
    fixed = ("M_mask", "P_matrix")
    trained = [v.requires_grad_() for n, v in state.items() if n.split(".")[-1] not in fixed]
    optimizer = torch.optim.Adam(trained, lr=LEARNING_RATE)
    return _stepper(lambda: plain_forward(state, maps), labels, optimizer)


STEPS = {"ours": our_step, "plain": plain_step}


def _network(config: Config) -> torch.nn.Module:
    torch.manual_seed(1)
    repeats, width = REPEATS[config.config], WIDTHS[config.config]
    return create_model("causalnet", block_repeats=repeats, dim=width)


def _stepper(
    logits: Callable[[], Tensor], labels: Tensor, optimizer: torch.optim.Optimizer
) -> Callable[[], float]:
    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(logits(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def measure(build: Callable[[], Callable[[], float]], steps: int) -> Measured:
    """Build, warm up with one step, then time ``steps``; everything is freed afterwards."""
    step = build()
    losses, times = [], []
    for _ in range(steps + 1):
        begin = time.perf_counter()
        losses.append(step())
        times.append(time.perf_counter() - begin)
    del step
    gc.collect()
    return Measured(statistics.median(times[1:]), losses)


def _in_own_process(kind: str, config: Config, maps: Tensor, labels: Tensor) -> float:
    with get_context("spawn").Pool(1) as process:
        return process.apply(peak_memory, (kind, config, maps, labels))


def peak_memory(kind: str, config: Config, maps: Tensor, labels: Tensor) -> float:
    """Peak memory in GB of this fresh process, above what it holds before the network is made.

    The second step is the first that meets the optimizer's state.
    """
    torch.set_num_threads(config.threads)
    start = _memory("VmRSS")
    step = STEPS[kind](config, maps, labels)
    step(), step()
    return _memory("VmHWM") - start


def _memory(field: str) -> float:
    """A memory field of this process in GB (Linux)."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024 / GIGA


def product_times(rounds: int = 7) -> list[float]:
    """Seconds of a square float32 matrix product, after one to warm up."""
    matrix = torch.randn(PRODUCT_SIDE, PRODUCT_SIDE)
    times = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - begin)
    return times[1:]


def print_profile(step: Callable[[], float]) -> None:
    """torch.profiler over one step, after two to warm up."""
    step(), step()
    with torch.profiler.profile() as profile:
        step()
    print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=16))


def useful_flop(repeats: tuple[int, int, int], dim: int, batch: int) -> float:
    """Floating-point operations of a training step, counted from the mathematics.

    Multiplications and additions of every product that can act on the result: no q, no k in the
    encoder. Convolutions count all nine taps. Norms, GELUs and the optimizer are not counted.
    """
    encoder = 16 * 147 * dim
    for stage, depth in enumerate(repeats):
        places, width = 16 // 4**stage, dim * 2**stage
        encoder += depth * places * 10 * width**2
        encoder += places * 9 * width * 2 * width if stage < len(repeats) - 1 else 0
    # Per token: q, k, v, output and the feed-forward's eight; two streams of four tokens.
    cross = repeats[-1] * 8 * 12 * dim**2
    # Norm aside: 4 + 4 products on 8 tokens, feed-forwards on 16, relation on 4 (q, k, v, output).
    causal = (8 * (4 + 4) + 16 * 8 + 4 * 4) * dim**2
    head = 12 * dim * 2048 + 2048 * 3
    return PASSES * 2.0 * batch * (4 * encoder + cross + causal + head)


def report(
    config: Config, ours: Measured, plain: Measured, peaks: dict[str, float], product: float
) -> None:
    """A table for people, then one JSON object for programs."""
    flop = useful_flop(REPEATS[config.config], WIDTHS[config.config], config.batch)
    rates = {"ours": flop / ours.seconds / GIGA, "plain": flop / plain.seconds / GIGA}
    table = Table(title=f"one training step, {config.config}, {config.batch} clips")
    for name in ("", "seconds", "peak GB", "useful GFLOP/s", "share of product"):
        table.add_column(name, justify="right" if name else "left")
    for name, kind in (("ours", ours), ("plain", plain)):
        cells = (kind.seconds, peaks[name], rates[name], rates[name] / product)
        table.add_row(name, *(f"{cell:.3g}" for cell in cells))
    table.add_row("matrix product", "", "", f"{product:.3g}", "1")
    Console().print(table)
    result = {
        "benchmark": "train_step",
        "config": config.config,
        "batch": config.batch,
        "threads": config.threads,
        "torch": str(torch.__version__),
        "useful_tflop": flop / 1e12,
        "seconds": {"ours": ours.seconds, "plain": plain.seconds},
        "plain_over_ours": plain.seconds / ours.seconds,
        "peak_gb": peaks,
        "peak_ours_over_plain": peaks["ours"] / peaks["plain"],
        "matrix_product_gflops": product,
        "share_of_product": {name: rate / product for name, rate in rates.items()},
        "float32_losses": {"ours": ours.losses, "plain": plain.losses},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    run_script(main)
