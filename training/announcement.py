"""What `glint train` prints when it is done."""

from rich.console import Console

from models.variants import describe
from training.comparison import describe as describe_comparison
from training.train import Trained

# Files that stand out are named up to so many; the report shows more, and the manifest has all.
_NAMED = 5


def print_trained(trained: Trained) -> None:
    """Print where the bundle is, how good it is, what was chosen and why, and what to do next."""
    manifest, metrics = trained.bundle.manifest, trained.metrics
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"Bundle: {trained.bundle.path}", markup=False)
    console.print(f"Report: {trained.bundle.path / 'report.html'}", markup=False)
    alignment = manifest.training["alignment"]
    console.print(f"Alignment {alignment['chosen']}: {alignment['why']}", markup=False)
    for name, value in metrics.image_auroc.model_dump().items():
        if value is not None:
            console.print(f"Image AUROC on held-out photos, {name}: {value:.3f}")
    for name, rate in (("False rejects", metrics.false_reject_rate), ("Escapes", metrics.escape_rate)):
        if rate is not None:
            console.print(f"{name} on held-out photos: {rate:.1%}")
    padim = manifest.training["padim"]
    if padim["normalise"]:
        console.print(f"PaDiM without contrast: {padim['normalise_why']}", markup=False)
    if suspects := manifest.training["suspects"]:
        named = ", ".join(suspects[:_NAMED]) + (", ..." if len(suspects) > _NAMED else "")
        console.print(
            f"Look at {len(suspects)} of the good training photos, which stand out: {named}", markup=False
        )
    for line in describe_comparison(trained.comparison) if trained.comparison else ():
        console.print(line, markup=False)
    for precision, variant in manifest.variants.items():
        if precision != "fp32":
            console.print(f"{precision}: {describe(variant)}", markup=False)
    for precision, reason in manifest.left_out.items():
        console.print(f"No {precision} graph: {reason}", markup=False)
    origins = (manifest.limit_origins.classifier, manifest.limit_origins.anomaly)
    for note in dict.fromkeys(origin.note for origin in origins if origin is not None and origin.note):
        console.print(f"Note: {note}", markup=False)
    console.print(f"Serve it: glint serve --bundles {trained.bundle.path.parent.parent}", markup=False)
