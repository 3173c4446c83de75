"""An archive with inspections in it."""

from tests.service.review.conftest import (  # noqa: F401
    archive,
    folder,
    inspect,
    make_entry,
    record,
    start_archive,
)
