"""Whole triangular matrices from blocks of columns, and blocks from them, for what checks the blocks."""

from collections.abc import Sequence

from torch import Tensor

from models.networks.blocks import block_columns


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
