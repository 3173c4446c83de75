"""Photos at the model's size, through the one preprocessing that the service uses."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from models.cores import usable_cores
from models.photo import read_photo
from models.preprocessing import Preprocessing
from training.data.samples import Sample
from training.progress import track


def load_images(
    samples: Sequence[Sample], preprocessing: Preprocessing, *, progress: bool = True
) -> npt.NDArray[np.uint8]:
    """Read and resize photos to uint8 [N, height, width, 3] RGB, in the order of `samples`.

    Raises:
        PhotoError: when a file has changed since the data set was read.
    """

    def load(sample: Sample) -> npt.NDArray[np.uint8]:
        return preprocessing.apply(read_photo(sample.path, white_level=preprocessing.white_level).pixels)

    images = np.empty((len(samples), *preprocessing.size, 3), dtype=np.uint8)
    with ThreadPoolExecutor(usable_cores()) as pool:
        loaded = track(pool.map(load, samples), "Reading photos", total=len(samples), enabled=progress)
        for index, image in enumerate(loaded):
            images[index] = image
    return images
