"""One training step of every network next to the same step in plain PyTorch, turn by turn.

    python -m benchmarks.methods                        # published batches; 16 GB for causalnet
    python -m benchmarks.methods --methods htnet mmnet --rounds 5
    python -m benchmarks.methods --device cuda --precisions float32 tf32 bf16
    python -m benchmarks.methods --quick                # only whether it runs; figures mean nothing

Reads nothing; the clips are random and their preparation is not timed. "ours" is the network as
the suite trains it. "plain" is, for CausalNet and HTNet, models/causalnet/reference.py, which
computes layer by layer; for all others the same module with weights and clips in contiguous
format. Both take the method's optimizer, plain without fusing.

Useful FLOP are what torch.utils.flop_counter counts in our step: products and convolutions. The
peak is that of a square matrix product, measured before and after. Peak memory is that of two more
steps in a process of their own, above what the process held before. Prints a table and one JSON
object.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from common.errors import UserError, name_list, run_script
from models import Method, create_model, list_models, load_method
from models.causalnet.reference import plain_forward, plain_htnet
from training.configuration import read_training
from training.device import pick_device
from training.optimization import create_optimizer
from training.precision import Precision, activations, check_precision, matrix_products

PLAIN = {"causalnet": plain_forward, "causalnet_compact": plain_forward, "htnet": plain_htnet}
"""Methods with a reference of their own: (state dict, clips) -> logits."""
FIXED = ("M_mask", "P_matrix")
"""Entries of their state dicts that are not trained."""
STORED = {"maps": (4, 28, 28, 3), "flow": (2, 224, 224, 2), "frames": (9, 224, 224, 3)}
"""Shape of one stored clip of each input."""
FOLD_CLIPS = 436
"""Training clips of a fold of the composite; a published batch that is larger is all of them."""
QUICK_BATCH = 4
PRODUCT_SIDES = {"cpu": 3072, "cuda": 8192}
GIGA = 1e9

Step = Callable[[], float]


@dataclass(frozen=True)
class Config:
    """What to measure."""

    methods: tuple[str, ...] = ()
    """Networks; without it all that there are."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the steps run."""
    precisions: tuple[Precision, ...] = ("float32",)
    """Arithmetic of the steps, one measurement each."""
    rounds: int = 3
    """Measured steps of each kind, in turn, after one to warm up; medians count."""
    threads: int = 2
    """CPU threads."""
    quick: bool = False
    """Small networks, batches of 4, small products: tries out the benchmark itself."""


@dataclass(frozen=True)
class Case:
    """A step to measure."""

    method: str
    precision: Precision
    config: Config

    @property
    def batch(self) -> int:
        """Clips in a step."""
        published = int(load_method(self.method).facts["training"]["batch_size"])
        return QUICK_BATCH if self.config.quick else min(published, FOLD_CLIPS)


def main() -> None:
    """Measure each network in each precision and print."""
    config = tyro.cli(Config, description=__doc__)
    networks = [name for name in list_models() if load_method(name).trained]
    unknown = [name for name in config.methods if name not in networks]
    if unknown:
        raise UserError(
            f"--methods {name_list(unknown)}: no network of that name. "
            f"Choose among {name_list(networks)}."
        )
    pick_device(config.device)
    for precision in config.precisions:
        check_precision(precision, config.device)
    names = config.methods or networks
    cases = [Case(name, own, config) for name in names for own in config.precisions]
    report(config, [measure(case) for case in cases])


def measure(case: Case) -> dict[str, Any]:
    """Everything about one case, each part in a fresh process, so that memory is free again."""
    print(f"measuring {case.method} in {case.precision} ...", file=sys.stderr, flush=True)
    steps: dict[str, Any] = _in_own_process(measure_steps, case)
    return {**steps, "peak_gb": {kind: _in_own_process(peak_memory, kind, case) for kind in STEPS}}


def measure_steps(case: Case) -> dict[str, Any]:
    """Seconds, useful work and losses; losses are of all steps, the warming one first."""
    _set_up(case)
    products = product_seconds(case)
    steps = {kind: build(case) for kind, build in STEPS.items()}
    losses: dict[str, list[float]] = {kind: [] for kind in steps}
    seconds: dict[str, list[float]] = {kind: [] for kind in steps}
    with FlopCounterMode(display=False) as counter:
        losses["ours"].append(steps["ours"]())
    losses["plain"].append(steps["plain"]())
    for _ in range(case.config.rounds):
        for kind, step in steps.items():
            begin = time.perf_counter()
            losses[kind].append(step())
            seconds[kind].append(time.perf_counter() - begin)
    steps.clear()
    product = statistics.median(products + product_seconds(case))
    flop = float(counter.get_total_flops())
    medians = {kind: statistics.median(own) for kind, own in seconds.items()}
    peak = 2 * _product_side(case) ** 3 / product
    return {
        "method": case.method,
        "precision": case.precision,
        "batch": case.batch,
        "seconds": medians,
        # Ratios within a round: the machine's speed changes between rounds.
        "ours_over_plain": statistics.median(np.divide(seconds["ours"], seconds["plain"])),
        "useful_tflop": flop / 1e12,
        "peak_tflops": peak / 1e12,
        "share_of_peak": {kind: flop / own / peak for kind, own in medians.items()},
        "losses": losses,
    }


def _set_up(case: Case) -> None:
    """As a worker trains: see training/worker.py."""
    torch.set_num_threads(case.config.threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def our_step(case: Case) -> Step:
    """The network and optimizer of the suite."""
    method, network = load_method(case.method), _network(case)
    clips, labels = made_up_batch(case)
    loss = _loss(method, network, clips, labels)
    return _stepper(case, loss, _optimizer(method, list(network.parameters())))


def plain_step(case: Case) -> Step:
    """The plain forward pass on the same weights, its optimizer not fused."""
    method, network = load_method(case.method), _network(case)
    clips, labels = made_up_batch(case)
    if case.method in PLAIN:
        state = {name: value.detach().clone() for name, value in network.state_dict().items()}
        trained = [v.requires_grad_() for n, v in state.items() if n.split(".")[-1] not in FIXED]
        logits = partial(PLAIN[case.method], state, clips)
        optimizer = _optimizer(method, trained)
        loss: Callable[[], Tensor] = lambda: F.cross_entropy(logits(), labels)  # noqa: E731
    else:
        network.to(memory_format=torch.contiguous_format)
        optimizer = _optimizer(method, list(network.parameters()))
        loss = _loss(method, network, clips.contiguous(), labels)
    for group in optimizer.param_groups:
        group["fused"] = None
    return _stepper(case, loss, optimizer)


STEPS = {"ours": our_step, "plain": plain_step}


def _network(case: Case) -> nn.Module:
    torch.manual_seed(1)
    small = load_method(case.method).facts.get("small", {}) if case.config.quick else {}
    network: nn.Module = create_model(case.method, **small)
    return network.to(case.config.device).train()


def _optimizer(method: Method, parameters: list[Any]) -> torch.optim.Optimizer:
    live = [parameter for parameter in parameters if parameter.requires_grad]
    return create_optimizer(method, live, read_training(method.facts["training"], method.path))


def _loss(
    method: Method, network: nn.Module, clips: Tensor, labels: Tensor
) -> Callable[[], Tensor]:
    own = method.hook("training_step")
    if own is not None:
        return partial(own, network, clips, labels, torch.Generator().manual_seed(0))
    loss = method.hook("loss") or F.cross_entropy
    return lambda: loss(network(clips), labels)


def _stepper(case: Case, loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> Step:
    device = torch.device(case.config.device)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with matrix_products(case.precision):
            with activations(case.precision, device):
                value = loss()
            value.backward()
        optimizer.step()
        _wait(case)
        return value.item()

    return step


def made_up_batch(case: Case) -> tuple[Tensor, Tensor]:
    """Random clips as the method prepares them for a test (nothing is drawn), and labels."""
    method, random = load_method(case.method), np.random.default_rng(0)
    shape = (case.batch, *STORED[method.input])
    if method.input == "flow":
        stored = random.standard_normal(shape, np.float32)
    else:
        stored = random.integers(0, 256, shape, np.uint8)
    prepare = method.hook("prepare")
    if prepare is not None:
        clips = prepare(stored, pd.DataFrame(index=range(case.batch)), None)
    else:
        clips = torch.from_numpy(stored).movedim(-1, 2).float().contiguous()
    labels = torch.from_numpy(random.integers(0, 3, case.batch))
    return clips.to(case.config.device), labels.to(case.config.device)


def product_seconds(case: Case, rounds: int = 7) -> list[float]:
    """Seconds of a square matrix product in the case's precision, after one to warm up."""
    side = _product_side(case)
    kind = torch.bfloat16 if case.precision == "bf16" else torch.float32
    matrix = torch.randn(side, side, device=case.config.device).to(kind)
    times = []
    with matrix_products(case.precision):
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            matrix @ matrix
            _wait(case)
            times.append(time.perf_counter() - begin)
    return times[1:]


def _product_side(case: Case) -> int:
    return 256 if case.config.quick else PRODUCT_SIDES[case.config.device]


def _wait(case: Case) -> None:
    if case.config.device == "cuda":
        torch.cuda.synchronize()


def _in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    with get_context("spawn").Pool(1) as process:
        return process.apply(function, arguments)


def peak_memory(kind: str, case: Case) -> float:
    """Peak memory in GB of this fresh process, above what it holds before the network is made.

    The second step is the first that meets the optimizer's state.
    """
    _set_up(case)
    load_method(case.method).module  # noqa: B018 - imports what the method needs
    start = _memory("VmRSS")
    step = STEPS[kind](case)
    step(), step()
    if case.config.device == "cuda":
        return torch.cuda.max_memory_allocated() / GIGA
    return _memory("VmHWM") - start


def _memory(field: str) -> float:
    """A memory field of this process in GB (Linux)."""
    status = Path("/proc/self/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines[field].split()[0]) * 1024 / GIGA


COLUMNS = ("method", "", "clips", "s", "/plain", "GB", "/plain", "TFLOP", "of peak")


def report(config: Config, results: list[dict[str, Any]]) -> None:
    """A table for people, then one JSON object for programs."""
    title = f"one training step on {config.device}, {config.threads} threads"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if place > 1 else "left")
    for own in results:
        peaks = own["peak_gb"]
        figures = (
            own["seconds"]["ours"],
            own["ours_over_plain"],
            peaks["ours"],
            peaks["ours"] / peaks["plain"],
            own["useful_tflop"],
            own["share_of_peak"]["ours"],
        )
        cells = (own["method"], own["precision"], str(own["batch"]))
        table.add_row(*cells, *(f"{figure:.3g}" for figure in figures))
    Console().print(table)
    result = {"benchmark": "methods", "torch": str(torch.__version__), **asdict(config)}
    print(json.dumps({**result, "results": results}))


if __name__ == "__main__":
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    run_script(main)
