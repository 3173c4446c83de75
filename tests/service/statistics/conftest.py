"""An archive with inspections in it."""

from tests.service.archive.conftest import archive as archive
from tests.service.archive.conftest import folder as folder
from tests.service.archive.conftest import make_entry as make_entry
from tests.service.archive.conftest import start_archive as start_archive
from tests.service.review.conftest import inspect as inspect
