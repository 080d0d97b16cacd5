"""Writes to each customer whose order was sold. Who calls it is told how many letters there are."""

from airssys import Delivery, Message, component, state, subscribe


@component
class Letters:
    def init(self) -> None:
        subscribe("orders/sold")

    def handle(self, message: Message) -> int:
        # A counter is read by adding nothing to it.
        return state.increment("written", 0 if message.delivery is Delivery.CALL else 1)
