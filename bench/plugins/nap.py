"""A task that holds its worker for 20 ms."""

import time

TASK_TYPE = "nap"


def run(task):
    time.sleep(0.02)
    return True
