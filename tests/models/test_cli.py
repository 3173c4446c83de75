"""The `glint` command: one place for all commands, and faults as plain lines."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer

import models.cli
from models.errors import BundleError, GlintError, UsageError

# A side with commands of its own, as `service.cli` and `training.cli` are.
app = typer.Typer()


@app.command()
def spoil(kind: str) -> None:
    """Fail on purpose."""
    if kind == "bundle":
        raise BundleError("bundles/[red]lid[/red] has no manifest.json.", "Train it again.")
    if kind == "file":
        Path("nowhere/at/all.jpg").write_bytes(b"")
    if kind == "pipe":
        raise OSError(5, "no file is to blame")
    raise ZeroDivisionError(kind)


@app.command()
def greet() -> None:
    """Say hello."""
    typer.echo("hello")


@pytest.fixture
def glint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """Call `glint` with this module's commands: exit code, stdout, stderr."""
    here = EntryPoint("here", f"{__name__}:app", "glint.commands")

    def call(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(models.cli, "entry_points", lambda group: [here])
        monkeypatch.setattr(sys, "argv", ["glint", *arguments])
        with pytest.raises(SystemExit) as stopped:
            models.cli.main()
        written = capsys.readouterr()
        return stopped.value.code, written.out, written.err

    return call


def test_a_command_of_a_side_runs(glint) -> None:
    assert glint("greet") == (0, "hello\n", "")


def test_a_fault_ends_as_problem_and_remedy_on_stderr_with_exit_code_1(glint) -> None:
    code, out, err = glint("spoil", "bundle")
    assert (code, out) == (1, "")
    assert err.splitlines() == ["glint: bundles/[red]lid[/red] has no manifest.json.", "Train it again."]


def test_a_file_that_cannot_be_written_ends_as_a_line_that_names_it(glint) -> None:
    code, out, err = glint("spoil", "file")
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == "glint: nowhere/at/all.jpg: No such file or directory."


def test_a_fault_of_the_system_without_a_file_keeps_its_traceback(glint) -> None:
    with pytest.raises(OSError, match="no file is to blame"):
        glint("spoil", "pipe")


def test_a_wrong_option_is_a_usage_error_with_exit_code_2(glint) -> None:
    code, _, err = glint("greet", "--loudly")
    assert code == 2
    assert "--loudly" in err


def test_a_bug_is_not_dressed_up_as_a_users_fault(glint) -> None:
    with pytest.raises(ZeroDivisionError):
        glint("spoil", "bug")


def test_help_lists_every_command() -> None:
    code = "import sys; from models.cli import main; sys.argv = ['glint', '--help']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("train", "evaluate", "inspect", "serve", "verify"):
        assert f" {command} " in done.stdout
    assert done.stderr == ""


def test_the_installed_command_reports_a_missing_bundle_without_a_traceback(tmp_path: Path) -> None:
    code = (
        f"import sys; from models.cli import main; sys.argv = ['glint', 'verify', {str(tmp_path)!r}]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "manifest.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_fault_says_what_to_do() -> None:
    fault: GlintError = UsageError("No device 'tpu'.", "Use cpu or cuda.")
    assert str(fault) == "No device 'tpu'. Use cpu or cuda."
