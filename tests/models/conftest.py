"""Settings of the property tests of models."""

from hypothesis import settings

# The same examples on every run, and no clock: a busy machine must not turn a right answer into a failure.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
