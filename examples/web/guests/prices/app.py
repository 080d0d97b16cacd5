"""Says what there is to buy, and what it costs. Nothing in it is of this host."""

from typing import List, Optional

from wit_world.exports import Prices as PricesExports
from wit_world.exports.prices import Item, Line

GOODS = [
    Item("coffee", "Coffee", 899),
    Item("tea", "Green tea", 549),
    Item("honey", "Honey", 675),
    Item("bread", "Rye bread", 329),
    Item("cheese", "Cheese", 1120),
    Item("apple", "Apple", 45),
]
CENTS = {item.sku: item.cents for item in GOODS}


class Prices(PricesExports):
    def catalogue(self) -> List[Item]:
        return GOODS

    def price(self, lines: List[Line]) -> List[Optional[int]]:
        return [line.pieces * CENTS[line.sku] if line.sku in CENTS else None for line in lines]
