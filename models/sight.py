"""From a photo's pixels to what the model sees of it: resized, and laid on a template where the bundle has one.

Training, evaluation and the service all go through here.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.errors import BundleError
from models.preprocessing import Placement, Preprocessing
from models.registration import Template, lay

TEMPLATE = "template.png"

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """What the model sees of a photo.

    Attributes:
        tensor: uint8 [height, width, 3], RGB.
        place: where the photo lies in it.
        as_it_lies: the tensor before it was laid on the template, which is what the quality gate reads.
        correlation: with the template, -1..1; None without one.
    """

    tensor: Pixels
    place: Placement
    as_it_lies: Pixels
    correlation: float | None


@dataclass(frozen=True)
class Sight:
    """How a bundle sees photos. Safe to use from several threads."""

    preprocessing: Preprocessing
    template: Template | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> "Sight":
        """That of a bundle.

        Raises:
            BundleError: when its template cannot be read, was altered, or has another size.
        """
        return cls(bundle.manifest.preprocessing, _read_template(bundle))

    def resized(self, pixels: Pixels) -> Seen:
        """A photo, uint8 [H, W, 3], RGB, at the model's size and as it lies."""
        tensor = self.preprocessing.apply(pixels)
        return Seen(tensor, self.preprocessing.place(*pixels.shape[:2]), tensor, None)

    def laid(self, seen: Seen) -> Seen:
        """A resized photo, laid on the template; unchanged without a template, or where it does not register."""
        if self.template is None:
            return seen
        pose = self.template.register(seen.as_it_lies)
        first, second, third, fourth, fifth, sixth = pose.matrix.ravel().tolist()
        place = replace(seen.place, pose=(first, second, third, fourth, fifth, sixth))
        return Seen(lay(seen.as_it_lies, pose.matrix), place, seen.as_it_lies, pose.correlation)

    def see(self, pixels: Pixels) -> Seen:
        """What the model sees of a photo, uint8 [H, W, 3], RGB."""
        return self.laid(self.resized(pixels))


def _read_template(bundle: Bundle) -> Template | None:
    registration = bundle.manifest.registration
    if registration is None:
        return None
    data = bundle.read(registration.file)
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    size = (bundle.manifest.preprocessing.height, bundle.manifest.preprocessing.width)
    if grey is None or grey.shape != size:
        raise BundleError(
            f"{bundle.path / registration.file} is no picture of {size[1]} x {size[0]} pixels.",
            "Copy the bundle again from where it was made, or train it again with `glint train`.",
        )
    return Template(np.asarray(grey, np.uint8), registration.fan)
