const EACH = { book: 1250n, pen: 99n };

export function ping() {}

export function crash(reason) {
  throw new Error(reason);
}

export const pricing = {
  quote({ sku, qty, extras, note }) {
    if (qty > 100) throw { tag: "too-many", val: qty };
    if (sku === "") throw { tag: "closed" };
    const each = EACH[sku];
    if (each === undefined) throw { tag: "unknown-sku", val: sku };
    const lines = [[sku, each * BigInt(qty)]];
    if (extras.gift) lines.push([note ?? "gift", 300n]);
    if (extras.insured) lines.push(["insurance", 450n]);
    return { cents: lines.reduce((sum, [, cents]) => sum + cents, 0n), currency: "eur", lines };
  },
  mirror: (...values) => values,
  same: (line) => line,
  carry: (bytes) => bytes,
  audit(reason) { throw new Error(reason); },
  inspect(reason) { throw new Error(reason); },
};
