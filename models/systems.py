"""Which published system a state dict is of, by the names of its entries."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class System:
    """Entries that one system has and no other, and the entry whose rows are its classes."""

    name: str
    entries: tuple[str, ...]
    head: str


SYSTEMS = (
    System("CausalNet", ("to_patch_embedding.1.weight",), "mlp_head.1.weight"),
    System("HTNet", ("to_patch_embedding.1.weight",), "mlp_head.2.weight"),
    System("Off-TANet", ("res1.botneck.weight", "eres.botneck.weight"), "dense.6.weight"),
    System("MMNet", ("timeembed", "conv_act.0.weight"), "main_branch.fc.weight"),
    System("SRMCL", ("backbone.decoder_pos_embed",), "mlp_head.1.weight"),
    System(
        "SRMCL's form sr", ("decoder_pos_embed", "last_blocks.norm1.weight"), "mlp_head.1.weight"
    ),
)


def system_of(state: Mapping[str, Tensor]) -> System | None:
    """The system that has these entries; None for any other network."""
    for system in SYSTEMS:
        if all(name in state for name in (*system.entries, system.head)):
            return system
    return None


def class_count(state: Mapping[str, Tensor]) -> int | None:
    """Rows of the last layer, where the system is known."""
    system = system_of(state)
    return None if system is None else len(state[system.head])
