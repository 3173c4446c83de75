"""Triangular matrices in blocks: nothing of the triangle is lost, nothing below it is kept."""

import pytest
import torch

from models.networks.blocks import BLOCK, block_columns, block_elements
from models.networks.triangular import to_blocks, to_matrices, zero_blocks

SIZES = [1, BLOCK - 1, BLOCK, BLOCK + 1, 100, 200]


@pytest.mark.parametrize("size", SIZES)
def test_blocks_hold_the_upper_triangle(size: int) -> None:
    matrices = torch.randn(3, size, size, generator=torch.Generator().manual_seed(size))
    assert torch.equal(to_matrices(to_blocks(matrices)), matrices.triu())


@pytest.mark.parametrize("size", SIZES)
def test_the_count_of_numbers_is_that_of_the_blocks(size: int) -> None:
    blocks = zero_blocks(2, size, torch.device("cpu"))
    assert sum(block.numel() for block in blocks) == 2 * block_elements(size)
    assert [block.shape for block in blocks] == [b.shape for b in to_blocks(torch.zeros(2, size, size))]


def test_columns_cover_the_matrix_once() -> None:
    covered = [column for columns in block_columns(100) for column in range(100)[columns]]
    assert covered == list(range(100))


def test_much_less_than_the_whole_is_kept() -> None:
    assert block_elements(200) < 0.6 * 200 * 200
