"""Networks of several folds as one, with stacked weights; and which networks that is right for."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from models.method import Method, describe

ALONE_HOOKS = ("training_step", "epoch_order", "optimizer")
"""Functions of a method file that are written for one fold at a time."""


class StackedNetworks:
    """K networks of one architecture whose weights are stacked along a leading axis.

    A single network is used as it is: stacking one would only cost time. Whether the networks train
    or are tested is the mode of ``template``.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.template = networks[0]
        self.count = len(networks)
        if self.count == 1:
            own = self.template.named_parameters()
            live: dict[str, Tensor] = {name: p for name, p in own if p.requires_grad}
            self.parameters = live
            return
        stacked, self.buffers = stack_module_state(list(networks))
        frozen = {name for name, p in self.template.named_parameters() if not p.requires_grad}
        self.parameters = {
            name: p.detach().requires_grad_() for name, p in stacked.items() if name not in frozen
        }
        self.buffers |= {name: p.detach() for name, p in stacked.items() if name in frozen}
        self._forward = vmap(self._one_forward)

    def logits(self, clips: Tensor) -> Tensor:
        """[K, B, *shape] -> [K, B, C]."""
        if self.count == 1:
            return self.template(clips[0])[None]
        return self._forward(self.parameters, self.buffers, clips)

    def lone_network(self, place: int) -> nn.Module:
        """One of the networks by itself; valid until the next call."""
        if self.count > 1:
            stacked = {**self.parameters, **self.buffers}
            with torch.no_grad():
                for own in (self.template.named_parameters(), self.template.named_buffers()):
                    for name, value in own:
                        value.copy_(stacked[name][place])
        return self.template

    def _one_forward(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], clips: Tensor
    ) -> Tensor:
        return functional_call(self.template, (parameters, buffers), (clips,))


class seeded_random:
    """Within it torch's global generators are a fold's own; each entry resumes their last state."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self.states: list[Tensor] | None = None
        self.seed = seed
        self.outside: list[list[Tensor]] = []

    def __enter__(self) -> None:
        self.outside.append(self._read())
        if self.states is None:
            torch.manual_seed(self.seed)
        else:
            self._write(self.states)

    def __exit__(self, *exception: object) -> None:
        self.states = self._read()
        self._write(self.outside.pop())

    def _read(self) -> list[Tensor]:
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _write(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self.device)


def why_alone(
    method: Method, create: Callable[[], nn.Module], clips: Tensor, labels: Tensor
) -> str | None:
    """Why folds of this method must be trained one at a time; None where they can be stacked.

    A batch norm or a dropout would make a fold depend on the others of its group. What the network
    does is tried out on two of them, so that it need not be known by name.

    Args:
        clips: two or more prepared clips [B, *shape]; labels: theirs.
    """
    if method.facts.get("stackable") is False:
        return "its file says stackable = False"
    own = [name for name in ALONE_HOOKS if method.hook(name) is not None]
    if own:
        return f"its file has a function {own[0]}"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = [create().train() for _ in range(2)]
        return _changes_itself(networks[0], clips) or _cannot_be_stacked(networks, clips, labels)


def _changes_itself(network: nn.Module, clips: Tensor) -> str | None:
    """Whether two equal forward passes in training mode differ, or change a buffer."""
    network = copy.deepcopy(network)
    before = {name: value.clone() for name, value in network.named_buffers()}
    with torch.no_grad():
        first, second = network(clips), network(clips)
    changed = [n for n, value in network.named_buffers() if not torch.equal(value, before[n])]
    if changed:
        return f"training changes its buffer {changed[0]}, as a batch norm does"
    return None if torch.equal(first, second) else "it draws random numbers, as dropout does"


def _cannot_be_stacked(networks: list[nn.Module], clips: Tensor, labels: Tensor) -> str | None:
    try:
        stacked = StackedNetworks(networks)
        logits = stacked.logits(torch.stack([clips, clips]))
        nn.functional.cross_entropy(logits[0], labels).backward()
    except Exception as error:  # noqa: BLE001 - any failure means: not stacked
        return f"torch.func.vmap refuses it ({describe(error)})"
    return None


def state_size(network: Any) -> int:
    """Parameters of a network; 0 for anything else."""
    if not isinstance(network, nn.Module):
        return 0
    return sum(parameter.numel() for parameter in network.parameters())
