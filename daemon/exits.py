"""What the daemon ends with: systemd restarts it after the ones that time may mend, and not after the others."""

from enum import IntEnum

from engine.errors import DropmillError, InputError, StateBusyError, StoreCorruptError, StoreTooNewError


class Exit(IntEnum):
    """Name the exit statuses of `dropmill serve`."""

    STOPPED = 0
    BROKE = 1
    BAD_INPUT = 2
    DATABASE_UNUSABLE = 65
    ALREADY_RUNNING = 66
    STORE_LOST = 74


MEANING: dict[Exit, str] = {
    Exit.STOPPED: "it was asked to stop and everything is recorded",
    Exit.BROKE: "something went wrong that is no fault of the configuration; a restart takes everything up again",
    Exit.BAD_INPUT: "the configuration cannot be used, or a folder is not safe to use; it would fail again",
    Exit.DATABASE_UNUSABLE: "the database is damaged, or a newer version wrote it; it would fail again",
    Exit.ALREADY_RUNNING: "another process owns the state folder; it would fail again",
    Exit.STORE_LOST: "the database could not be written (disk full, input/output error); it stopped rather than guess",
}


def exit_of(error: BaseException) -> Exit:
    """Return the exit status for what ended the daemon."""
    if isinstance(error, InputError):
        return Exit.BAD_INPUT
    if isinstance(error, StoreCorruptError | StoreTooNewError):
        return Exit.DATABASE_UNUSABLE
    if isinstance(error, StateBusyError):
        return Exit.ALREADY_RUNNING
    if isinstance(error, DropmillError) and error.code in ("store_lost", "runs_lost"):
        return Exit.STORE_LOST
    return Exit.BROKE
