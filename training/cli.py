"""The commands of training: `glint train`, `evaluate`, `render`, and those with a file of their own."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from models.errors import UsageError
from models.options import DeviceName, PrecisionOption
from training.gauge_command import gauge
from training.limits_command import limits
from training.options import AsJson, DefectRate, IncludeAll, Quiet, log_to_stderr, need_training_extra
from training.pretrain_command import pretrain

app = typer.Typer()


@app.command()
def train(
    photos: Annotated[
        Path,
        typer.Argument(
            help="Folder of photos (class folders, MVTec AD, flat folder) or a CSV; see docs/training.md."
        ),
    ],
    part: Annotated[
        str | None,
        typer.Option(help="Name of the part; the bundle goes to BUNDLES/PART/VERSION.  [the folder's name]"),
    ] = None,
    bundles: Annotated[Path, typer.Option(help="Folder for bundles.")] = Path("bundles"),
    trunk: Annotated[
        str,
        typer.Option(
            help="Pretrained ResNet50: auto, imagenet, glint, none (random), or a .safetensors or .pth file."
        ),
    ] = "auto",
    finetune: Annotated[
        Literal["head", "layer4", "discriminative", "full"],
        typer.Option(
            help="What the classifier trains: the read-out; layer4 too; all, slower towards the input; all."
        ),
    ] = "layer4",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of fine-tuning at most; it stops early.")] = 20,
    dims: Annotated[int, typer.Option(min=1, max=1792, help="PaDiM's channels after projection.")] = 100,
    projection: Annotated[
        Literal["orthogonal", "subset"],
        typer.Option(help="Mix channels (orthogonal) or pick some (subset, as in the paper)."),
    ] = "orthogonal",
    grid_stride: Annotated[
        int, typer.Option(help="Pixels of input per cell of PaDiM's grid: 4 (finer), 8 or 16.")
    ] = 8,
    alignment: Annotated[
        Literal["auto", "fixed", "register", "free"],
        typer.Option(
            help="How parts lie: in the same place in every photo (fixed); anywhere, and turned back to a "
            "template (register) or taken as they lie (free); or find out."
        ),
    ] = "auto",
    image_size: Annotated[
        str | None,
        typer.Option(help="Model input HxW, multiples of 16, e.g. 224x224. Default: the photos' own shape."),
    ] = None,
    max_false_rejects: Annotated[
        float | None,
        typer.Option(
            min=1e-5,
            max=0.5,
            help="Largest share of good parts to reject.  [0.01, unless --max-escapes is given]",
        ),
    ] = None,
    max_escapes: Annotated[
        float | None, typer.Option(min=1e-5, max=0.5, help="Largest share of defective parts to pass.")
    ] = None,
    defect_rate: DefectRate = 0.01,
    white_level: Annotated[
        int,
        typer.Option(
            min=255, max=65535, help="Value that means white in 16-bit photos (12-bit camera: 4095)."
        ),
    ] = 65535,
    no_gate: Annotated[
        list[str] | None,
        typer.Option(help="Reading that photos are not refused for (brightness, ..., or all); repeatable."),
    ] = None,
    horizontal_flip: Annotated[bool, typer.Option(help="A mirrored part is still the same class.")] = True,
    vertical_flip: Annotated[bool, typer.Option(help="The same, top to bottom.")] = True,
    rotation: Annotated[
        float, typer.Option(min=0, max=180, help="Turn views by up to so many degrees.")
    ] = 8.0,
    crop: Annotated[
        float, typer.Option(min=0, max=0.5, help="Enlarge and move views by up to this share.")
    ] = 0.08,
    light: Annotated[
        float, typer.Option(min=0, max=0.9, help="Change brightness and contrast by up to this.")
    ] = 0.15,
    synthetic_defects: Annotated[
        int,
        typer.Option(
            min=0,
            max=100_000,
            help="Paint defects on so many photos of good parts, for the classifier to learn from; e.g. 100.",
        ),
    ] = 0,
    synthetic_kinds: Annotated[
        str, typer.Option(help="Which defects are painted, each with its class if you like: scratch=scored.")
    ] = "scratch,dent,stain",
    no_int8: Annotated[
        bool, typer.Option("--no-int8", help="Write no int8 graph for CPUs; saves up to a minute.")
    ] = False,
    compare: Annotated[
        Path | None,
        typer.Option(help="Bundle to compare the new one with.  [the part's newest]", show_default=False),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of the split, the projection and the training.")
    ] = 0,
    device: Annotated[DeviceName, typer.Option(help="Where to train.")] = "auto",
    quiet: Quiet = False,
) -> None:
    """Train an inspector on a folder of photos and write a bundle.

    Example: glint train photos/ --part bracket
    """
    need_training_extra()
    from models.networks.padim_config import PadimConfig
    from training.augmentation import Augmentation
    from training.config import FinetuneConfig, TrainConfig
    from training.plan import plan_training
    from training.synthetic.kinds import SyntheticConfig, parse_kinds

    if max_false_rejects is None and max_escapes is None:
        max_false_rejects = 0.01
    log_to_stderr()
    augmentation = Augmentation(horizontal_flip, vertical_flip, rotation, crop, light)
    config = TrainConfig(
        photos=photos,
        part=photos.resolve().stem if part is None else part,
        bundles=bundles,
        trunk=trunk,
        image_size=_parse_size(image_size),
        white_level=white_level,
        max_false_rejects=max_false_rejects,
        max_escapes=max_escapes,
        defect_rate=defect_rate,
        gates_off=tuple(no_gate or ()),
        int8=not no_int8,
        compare=compare,
        seed=seed,
        device=device,
        alignment=alignment,
        padim=PadimConfig(dims=dims, projection=projection, stride=_parse_stride(grid_stride), seed=seed),
        finetune=FinetuneConfig(finetune, epochs=epochs, seed=seed, augmentation=augmentation),
        synthetic=SyntheticConfig(synthetic_defects, *parse_kinds(synthetic_kinds)),
        progress=not quiet,
    )
    plan = plan_training(config)
    # Loads torch, which takes seconds: what can be refused without it has been by now.
    from training.announcement import print_trained
    from training.train import carry_out

    print_trained(carry_out(plan))


@app.command()
def evaluate(
    photos: Annotated[
        Path, typer.Argument(help="Photos with known classes, in any layout that `train` takes.")
    ],
    bundle: Annotated[Path, typer.Option(help="The bundle, e.g. bundles/bracket/20260131-120000.")],
    as_json: AsJson = False,
    include_all: IncludeAll = False,
    device: Annotated[DeviceName, typer.Option(help="Where to run.")] = "auto",
    precision: PrecisionOption = "auto",
    defect_rate: DefectRate = 0.01,
    quiet: Quiet = False,
) -> None:
    """Measure a bundle on photos whose class is known; photos it was made from are left out.

    Example: glint evaluate photos/ --bundle bundles/bracket/20260131-120000 --json
    """
    need_training_extra()
    from training.evaluation import evaluate_bundle
    from training.evaluation_table import print_evaluation

    log_to_stderr()
    evaluation = evaluate_bundle(
        photos,
        bundle,
        device=device,
        include_all=include_all,
        progress=not quiet,
        precision=precision,
        defect_rate=defect_rate,
    )
    if as_json:
        typer.echo(json.dumps(evaluation.as_json(), allow_nan=False))
    else:
        print_evaluation(evaluation)


@app.command()
def render(
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist or be empty.")],
    good: Annotated[int, typer.Option(min=1, help="Good parts.")] = 240,
    scratched: Annotated[int, typer.Option(min=0, help="Scratched parts.")] = 80,
    turned: Annotated[
        bool, typer.Option("--turned", help="The parts lie at any angle and place, not as in a holder.")
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed; the same seed gives the same photos.")
    ] = 0,
    quiet: Quiet = False,
) -> None:
    """Render photos of demo parts, good and scratched, with masks: something to train on without a camera.

    Example: glint render demo/photos
    """
    from training.rendering.demo import render_parts

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            f"{out} exists already and is not an empty folder.", "Name a new folder, or empty it first."
        )
    render_parts(out, good=good, scratched=scratched, seed=seed, turned=turned, progress=not quiet)


app.command()(gauge)
app.command()(limits)
app.command()(pretrain)


def _parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    numbers = text.lower().split("x")
    if len(numbers) != 2 or not all(number.isdigit() for number in numbers):
        raise UsageError(f"--image-size {text} is not of the form HxW.", "Give height x width, e.g. 224x224.")
    height, width = int(numbers[0]), int(numbers[1])
    if height % 16 or width % 16 or min(height, width) < 32 or max(height, width) > 2048:
        raise UsageError(
            f"--image-size {text}: height and width must be multiples of 16 between 32 and 2048.",
            f"The nearest is {max(32, round(height / 16) * 16)}x{max(32, round(width / 16) * 16)}.",
        )
    return height, width


def _parse_stride(stride: int) -> int:
    if stride not in (4, 8, 16):
        raise UsageError(f"--grid-stride {stride} is not 4, 8 or 16.", "Use 8 unless defects are very small.")
    return stride
