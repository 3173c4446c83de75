"""The precisions that a bundle's graphs come in."""

from typing import Literal

Precision = Literal["fp32", "int8", "fp16"]

# `auto`: the fastest that agrees with fp32 and that the device runs well.
WantedPrecision = Literal["auto", "fp32", "int8", "fp16"]
