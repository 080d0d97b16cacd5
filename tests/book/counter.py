"""The counter of the book's page on Python."""

import logging

from airssys import Message, Refused, Snapshot, component, send, state


@component
class Counter:
    def __init__(self) -> None:
        self.since_start = 0

    def handle(self, message: Message) -> int:
        step = message.value
        if step <= 0:
            raise Refused(f"{step} is no step forward")
        self.since_start += 1
        total = state.increment("total", step)
        if total >= 100:
            send("alarm", {"total": total})
            logging.warning("%d in total", total)
        return total

    def snapshot(self) -> int:
        return self.since_start

    def restore(self, snapshot: Snapshot) -> None:
        self.since_start = snapshot.value
