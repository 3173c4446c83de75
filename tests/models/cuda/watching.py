"""A real session on the CPU that says it is on a GPU, and tells how it was run."""

import threading
from typing import Any

from models.session import CUDA

GRAPH_ID = "gpu_graph_id"


class WatchedSession:
    """Passes everything on to a session of ONNX Runtime and notes the runs.

    `captured` holds the graph ids of the bound runs, `plain` those of the others, `threads` who ran them.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self.captured: list[str] = []
        self.plain: list[str] = []
        self.threads: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [CUDA]

    def run(self, names: list[str], feed: dict[str, Any], options: Any = None) -> list[Any]:
        self.threads.add(threading.get_ident())
        self.plain.append(options.get_run_config_entry(GRAPH_ID) if options else "")
        return list(self._session.run(names, feed, options))

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        self.threads.add(threading.get_ident())
        self.captured.append(options.get_run_config_entry(GRAPH_ID) if options else "")
        self._session.run_with_iobinding(binding, options)


class StaleSession(WatchedSession):
    """Replays its first bound run for ever, as a captured graph does that reads from another place."""

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        if not self.captured:
            super().run_with_iobinding(binding, options)


class FailingSession(WatchedSession):
    """Raises what it was given in every run of one kind."""

    def __init__(self, session: Any, error: Exception, *, bound: bool) -> None:
        super().__init__(session)
        self._error = error
        self._bound = bound

    def run(self, names: list[str], feed: dict[str, Any], options: Any = None) -> list[Any]:
        if not self._bound:
            raise self._error
        return super().run(names, feed, options)

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        if self._bound:
            raise self._error
        super().run_with_iobinding(binding, options)
