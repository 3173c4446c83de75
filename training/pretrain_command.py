"""`glint pretrain`: a trunk from rendered pictures."""

from pathlib import Path
from typing import Annotated

import typer

from models.options import DeviceName
from training.options import Quiet, log_to_stderr, need_training_extra


def pretrain(
    out: Annotated[Path, typer.Argument(help="Folder for the trunk, the checkpoint and the log.")],
    minutes: Annotated[
        float, typer.Option(min=0.05, help="How long to train, earlier runs included.")
    ] = 60.0,
    images: Annotated[
        int | None, typer.Option(min=1, help="Train on so many pictures instead, however long it takes.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of the pictures and of the first weights.")
    ] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")] = False,
    views: Annotated[
        int,
        typer.Option(min=1, max=2, help="Pictures of each scene; 2 also asks which cells show one place."),
    ] = 1,
    trunk: Annotated[
        str | None,
        typer.Option(
            help="Begin with this trunk: glint, imagenet or a file; by default with random weights."
        ),
    ] = None,
    device: Annotated[DeviceName, typer.Option(help="Where to train.")] = "auto",
    quiet: Quiet = False,
) -> None:
    """Pretrain a trunk on rendered pictures, as the one that comes with Glint was; see docs/trunk.md.

    Example: glint pretrain trunk/ --minutes 120, then glint train photos/ --trunk trunk/trunk.safetensors
    """
    need_training_extra()
    from training.pretrain.config import PretrainConfig
    from training.pretrain.run import pretrain as run

    log_to_stderr()
    config = PretrainConfig(
        out,
        minutes=None if images else minutes,
        images=images,
        views=views,
        seed=seed,
        resume=resume,
        trunk=trunk,
        device=device,
        progress=not quiet,
    )
    typer.echo(f"Trunk: {run(config)}")
