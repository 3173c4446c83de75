"""The image's restart is a drill too."""

from tests.drills.conftest import drill_record as drill_record
