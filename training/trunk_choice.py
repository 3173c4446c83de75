"""What `--trunk` can be, checked without loading torch."""

from pathlib import Path

from models.errors import TrunkError

NAMED_TRUNKS = ("auto", "imagenet", "glint", "none")
WANTED_FILE = "Give a .safetensors or .pth file with torchvision's ResNet50 state dict."


def check_trunk(choice: str) -> None:
    """Refuse a trunk that is neither one of the names nor a file that could hold weights.

    Raises:
        TrunkError: naming the file.
    """
    if choice not in NAMED_TRUNKS:
        check_trunk_file(Path(choice))


def check_trunk_file(path: Path) -> None:
    """Refuse a file that is not there, or is of no kind that is read.

    Raises:
        TrunkError: naming the file.
    """
    if not path.is_file():
        raise TrunkError(
            f"There is no trunk file {path}.", "Use --trunk auto|imagenet|glint|none or the path of a file."
        )
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise TrunkError(f"{path} is neither .safetensors nor .pth.", WANTED_FILE)
