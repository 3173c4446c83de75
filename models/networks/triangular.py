"""Stacks of upper triangular matrices in blocks of columns: what lies below the blocks is not kept.

Block j of a d x d matrix holds the columns `block_columns(d)[j]`, from the first row down to the diagonal:
in all about (1 + BLOCK / d) / 2 of the matrix.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

# Columns per block: fewer save little more memory, and make more and smaller matrix products.
BLOCK = 32


def block_columns(size: int) -> list[slice]:
    """The columns of each block of a matrix with `size` columns; a block's rows end where its columns end."""
    return [slice(first, min(first + BLOCK, size)) for first in range(0, size, BLOCK)]


def block_elements(size: int) -> int:
    """Numbers kept of one matrix with `size` columns."""
    return sum(columns.stop * (columns.stop - columns.start) for columns in block_columns(size))


def zero_blocks(count: int, size: int, device: torch.device) -> list[Tensor]:
    """Blocks of `count` matrices of zeros, float32 [count, rows, columns] each."""
    return [
        torch.zeros(count, columns.stop, columns.stop - columns.start, device=device)
        for columns in block_columns(size)
    ]


def to_blocks(matrices: Tensor) -> list[Tensor]:
    """Blocks [P, rows, columns] of upper triangular matrices [P, d, d]."""
    return [matrices[:, : columns.stop, columns].contiguous() for columns in block_columns(matrices.shape[2])]


def to_matrices(blocks: Sequence[Tensor]) -> Tensor:
    """Matrices [P, d, d] from their blocks; zeros below the diagonal."""
    size = blocks[-1].shape[1]
    matrices = blocks[-1].new_zeros(blocks[-1].shape[0], size, size)
    for columns, block in zip(block_columns(size), blocks, strict=True):
        matrices[:, : columns.stop, columns] = block
    return matrices.triu()
