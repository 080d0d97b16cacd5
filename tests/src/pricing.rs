//! What a component that exports `acme:shop/pricing` answers, in whatever language it is written.

/// Calls, and their answers; none where a function has no result. Of `mirror` the same values come back.
pub const CALLS: [(&str, Option<&str>); 8] = [
    (
        "quote({sku: \"book\", qty: 2, extras: {gift, insured}, note: some(\"für dich\")})",
        Some("ok({cents: 3250, currency: eur, lines: [(\"book\", 2500), (\"für dich\", 300), (\"insurance\", 450)]})"),
    ),
    (
        "quote({sku: \"pen\", qty: 100, extras: {gift}, note: none})",
        Some("ok({cents: 10200, currency: eur, lines: [(\"pen\", 9900), (\"gift\", 300)]})"),
    ),
    // A result that is an error is an answer.
    ("quote({sku: \"car\", qty: 1, extras: {}})", Some("err(unknown-sku(\"car\"))")),
    ("quote({sku: \"pen\", qty: 101, extras: {}})", Some("err(too-many(101))")),
    ("quote({sku: \"\", qty: 1, extras: {}})", Some("err(closed)")),
    (
        "mirror(true, -128, 65535, -2147483648, 18446744073709551615, 0.5, -1.5, '€', [0, 255], [none, some(\"a\")], ok(\"\"), (1, -9223372036854775808, \"z\"))",
        Some(
            "(true, -128, 65535, -2147483648, 18446744073709551615, 0.5, -1.5, '€', [0, 255], [none, some(\"a\")], ok(\"\"), (1, -9223372036854775808, \"z\"))",
        ),
    ),
    (
        "mirror(false, 127, 0, 0, 0, inf, nan, '\\u{10ffff}', [], [], err(7), (0, 0, \"\"))",
        Some("(false, 127, 0, 0, 0, inf, nan, '\\u{10ffff}', [], [], err(7), (0, 0, \"\"))"),
    ),
    ("ping()", None),
];
