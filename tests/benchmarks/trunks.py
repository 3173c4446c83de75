"""Compares trunks on photos of real parts: PaDiM, and the classifier with its layer4 fine-tuned.

    .venv/bin/python -m tests.benchmarks.trunks ../shared/data --imagenet ../shared/weights/resnet50_imagenet.safetensors

The same splits, preprocessing and defaults as in `glint train`; three seeds of split, projection and training. Half
of each data set's clean photos at most `--clean` are used, so that a run ends while one waits. Prints a table, and
writes `trunks.md` and `trunks.json` to `--out`.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, pstdev

import numpy as np
import torch

from models.decision import CLEAN
from models.networks.padim import PadimConfig, PadimFit
from models.networks.resnet import Trunk, build_resnet50
from models.preprocessing import Preprocessing, default_size
from training.data.layouts import read_dataset
from training.data.samples import Sample, read_mask
from training.data.splits import split_dataset
from training.finetune import FinetuneConfig, LabelledImages, finetune
from training.images import load_images
from training.metrics import auroc, pixel_auroc
from training.rendering.demo import render_parts
from training.train import _settle_batch_norm
from training.trunk import TrunkWeights, load_trunk

SETS = ("metal_nut", "magnetic_tile", "ball_screw")
