// Prices orders as the guest `pricing` in Rust does, by the same interface. It has never heard of this host.
//
// What a function is given is its own, to free or to give back; what it returns is freed by the bindings.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shop.h"

typedef exports_acme_shop_pricing_order_t order_t;
typedef exports_acme_shop_pricing_price_t price_t;
typedef exports_acme_shop_pricing_problem_t problem_t;
typedef exports_acme_shop_pricing_line_t line_t;
typedef exports_acme_shop_pricing_result_string_u8_t result_t;
typedef exports_acme_shop_pricing_tuple12_bool_s8_u16_s32_u64_f32_f64_char32_list_u8_list_option_string_result_string_u8_tuple3_u8_s64_string_t
    mirrored_t;

static _Noreturn void fail(const shop_string_t *reason) {
  fprintf(stderr, "%.*s\n", (int)reason->len, (const char *)reason->ptr);
  abort();
}

static bool is(const shop_string_t *text, const char *other) {
  return text->len == strlen(other) && memcmp(text->ptr, other, text->len) == 0;
}

// Takes the text over.
static void add(price_t *price, shop_string_t what, uint64_t cents) {
  price->lines.ptr[price->lines.len++] = (shop_tuple2_string_u64_t){what, cents};
  price->cents += cents;
}

static shop_string_t text(const char *of) {
  shop_string_t text;
  shop_string_dup(&text, of);
  return text;
}

// Takes nothing over.
static bool refused(const order_t *order, uint64_t *each, problem_t *problem) {
  if (order->qty > 100) {
    problem->tag = EXPORTS_ACME_SHOP_PRICING_PROBLEM_TOO_MANY;
    problem->val.too_many = order->qty;
  } else if (order->sku.len == 0) {
    problem->tag = EXPORTS_ACME_SHOP_PRICING_PROBLEM_CLOSED;
  } else if (is(&order->sku, "book")) {
    *each = 1250;
    return false;
  } else if (is(&order->sku, "pen")) {
    *each = 99;
    return false;
  } else {
    problem->tag = EXPORTS_ACME_SHOP_PRICING_PROBLEM_UNKNOWN_SKU;
    shop_string_dup_n(&problem->val.unknown_sku, (const char *)order->sku.ptr, order->sku.len);
  }
  return true;
}

void exports_shop_ping(void) {}

uint32_t exports_shop_crash(shop_string_t *reason) { fail(reason); }

bool exports_acme_shop_pricing_quote(order_t *order, price_t *price, problem_t *problem) {
  uint64_t each;
  if (refused(order, &each, problem)) {
    exports_acme_shop_pricing_order_free(order);
    return false;
  }
  price->cents = 0;
  price->currency = EXPORTS_ACME_SHOP_PRICING_CURRENCY_EUR;
  price->lines.len = 0;
  price->lines.ptr = calloc(3, sizeof(shop_tuple2_string_u64_t));
  if (price->lines.ptr == NULL) abort();
  add(price, order->sku, each * order->qty);
  if (order->extras & EXPORTS_ACME_SHOP_PRICING_EXTRAS_GIFT) {
    add(price, order->note.is_some ? order->note.val : text("gift"), 300);
  } else {
    shop_option_string_free(&order->note);
  }
  if (order->extras & EXPORTS_ACME_SHOP_PRICING_EXTRAS_INSURED) add(price, text("insurance"), 450);
  return true;
}

void exports_acme_shop_pricing_mirror(bool a, int8_t b, uint16_t c, int32_t d, uint64_t e, float f, double g,
                                      uint32_t h, shop_list_u8_t *i, shop_list_option_string_t *j, result_t *k,
                                      shop_tuple3_u8_s64_string_t *l, mirrored_t *same) {
  *same = (mirrored_t){a, b, c, d, e, f, g, h, *i, *j, *k, *l};
}

void exports_acme_shop_pricing_same(line_t *line, line_t *same) { *same = *line; }

void exports_acme_shop_pricing_carry(shop_list_u8_t *bytes, shop_list_u8_t *same) { *same = *bytes; }

uint32_t exports_acme_shop_pricing_audit(shop_string_t *reason) { fail(reason); }

bool exports_acme_shop_pricing_inspect(shop_string_t *reason, uint32_t *count, shop_string_t *error) { fail(reason); }
