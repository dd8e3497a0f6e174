"""What every test shares: how Hypothesis looks for counterexamples.

On CI the search is the same every time and prints how to repeat a failure; elsewhere it looks at new cases in every run. Nowhere does the
clock decide: the first text of a fresh clone waits for a table of all characters to be made, and a busy machine is no counterexample.
"""

import os

import freezegun
from hypothesis import HealthCheck, settings

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("ci", UNTIMED, derandomize=True, print_blob=True)
settings.register_profile("here", UNTIMED)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# Okta's SDK loads its models when they are first looked at, which freezing does; made of a frozen clock's classes they would not work.
freezegun.configure(extend_ignore_list=["okta"])
