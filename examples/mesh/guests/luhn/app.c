// Whether a number can be that of a card: the last digit is a sum over the others.

#include "luhn.h"

bool exports_acme_desk_cards_valid(luhn_string_t *number) {
  unsigned sum = 0;
  bool valid = number->len >= 8;
  for (size_t at = 0; at < number->len; at++) {
    unsigned digit = number->ptr[number->len - 1 - at] - '0';
    if (digit > 9) valid = false;
    if (at % 2 == 1) digit = digit < 5 ? 2 * digit : 2 * digit - 9;
    sum += digit;
  }
  luhn_string_free(number);
  return valid && sum % 10 == 0;
}
