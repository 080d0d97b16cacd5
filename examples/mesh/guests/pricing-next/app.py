"""Says what goods cost, as the release in Rust does, by the next version of its interface."""

from typing import List, Tuple

from componentize_py_types import Err
from wit_world.exports import Prices as PricesExports
from wit_world.exports.prices import Line, Problem_UnknownSku
from wit_world.imports import store as config


class Prices(PricesExports):
    def price(self, lines: List[Line]) -> int:
        return sum(each(line.sku) * line.qty for line in lines)

    def catalogue(self) -> List[Tuple[str, int]]:
        return [(sku, int(cents)) for sku, cents in config.get_all()]


def each(sku: str) -> int:
    cents = config.get(sku)
    if cents is None:
        raise Err(Problem_UnknownSku(sku))
    return int(cents)
