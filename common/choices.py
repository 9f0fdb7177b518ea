"""Closed sets of values that flags, records and several packages share; imports nothing heavy."""

from typing import Literal

Protocol = Literal["composite", "single_dataset", "leave_one_dataset_out"]
Precision = Literal["float32", "tf32", "bf16"]
"""float32; products of float32 values rounded to 19 bits (GPU); activations of 16 bits, weights,
their gradients and the optimizer in float32."""
Schedule = Literal["constant", "one_cycle", "cosine", "step", "exponential"]
Ablation = Literal["none", "no_cmplm", "no_cab", "no_direction", "contraction_only"]
