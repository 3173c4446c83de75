"""From a photo's pixels to what the model sees of it: resized, and laid on a template if the bundle has one.

Training, evaluation and the service all go through here.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.bundle_pictures import read_picture
from models.errors import BundleError
from models.preprocessing import Placement, Preprocessing
from models.registration import PART, Template, pose_of

TEMPLATE = "template.png"

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """What the model sees of a photo.

    Attributes:
        tensor: uint8 [height, width, 3], RGB.
        place: where the photo lies in it.
        as_it_lies: the tensor before it was laid on the template, which is what the quality gate reads.
        correlation: with the template, -1..1, and 0 where the part is cut off; None without a template.
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
        """A resized photo, laid on the template; as it lies without one, or where it does not register."""
        if self.template is None:
            return seen
        pose = self.template.register(seen.as_it_lies, seen.place)
        place = replace(seen.place, pose=pose_of(pose.matrix))
        return Seen(self.template.lay(seen.as_it_lies, pose), place, seen.as_it_lies, pose.correlation)

    def see(self, pixels: Pixels) -> Seen:
        """What the model sees of a photo, uint8 [H, W, 3], RGB."""
        return self.laid(self.resized(pixels))


def _read_template(bundle: Bundle) -> Template | None:
    registration = bundle.manifest.registration
    if registration is None:
        return None
    rgba = read_picture(bundle, registration.file, 4)
    if not (rgba[..., 3] == PART).any():
        raise BundleError(
            f"{bundle.path / registration.file} does not say where the part is.",
            "Train the bundle again with `glint train`.",
        )
    return Template(rgba[..., :3].copy(), rgba[..., 3].copy(), registration.fan).prepared()


def encode_template(template: Template) -> bytes:
    """A template as PNG, its weight in the alpha channel, as bundles keep it."""
    rgba = np.dstack([template.picture, template.weight])
    done, data = cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
    if not done:
        raise RuntimeError("the template could not be encoded")
    return data.tobytes()
