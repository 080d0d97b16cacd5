"""Prices orders as the guest `pricing` in Rust does, by the same interface. It has never heard of this host."""

from typing import List, Optional, Tuple

import wit_world
from componentize_py_types import Err, Result
from wit_world.exports import Pricing as PricingExports
from wit_world.exports.pricing import (
    Currency,
    Extras,
    Line,
    Order,
    Price,
    Problem_Closed,
    Problem_TooMany,
    Problem_UnknownSku,
)

EACH = {"book": 1250, "pen": 99}


class WitWorld(wit_world.WitWorld):
    def ping(self) -> None:
        pass

    def crash(self, reason: str) -> int:
        raise RuntimeError(reason)


class Pricing(PricingExports):
    def quote(self, order: Order) -> Price:
        if order.qty > 100:
            raise Err(Problem_TooMany(order.qty))
        if not order.sku:
            raise Err(Problem_Closed())
        if order.sku not in EACH:
            raise Err(Problem_UnknownSku(order.sku))
        lines = [(order.sku, EACH[order.sku] * order.qty)]
        if Extras.GIFT in order.extras:
            lines.append(("gift" if order.note is None else order.note, 300))
        if Extras.INSURED in order.extras:
            lines.append(("insurance", 450))
        return Price(sum(cents for _, cents in lines), Currency.EUR, lines)

    def same(self, line: Line) -> Line:
        return line

    def carry(self, bytes: bytes) -> bytes:
        return bytes

    def audit(self, reason: str) -> int:
        raise RuntimeError(reason)

    def inspect(self, reason: str) -> int:
        raise RuntimeError(reason)

    def mirror(
        self,
        a: bool,
        b: int,
        c: int,
        d: int,
        e: int,
        f: float,
        g: float,
        h: str,
        i: bytes,
        j: List[Optional[str]],
        k: Result[str, int],
        l: Tuple[int, int, str],
    ) -> Tuple[
        bool, int, int, int, int, float, float, str, bytes, List[Optional[str]], Result[str, int], Tuple[int, int, str]
    ]:
        return (a, b, c, d, e, f, g, h, i, j, k, l)
