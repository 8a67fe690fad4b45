"""The cheapest task there is: what is measured is what surrounds it."""

TASK_TYPE = "noop"


def run(task):
    return True
