// Carries parcels to near countries, in a hurry and at one price.

#include <string.h>

#include "courier.h"

bool exports_acme_desk_carrier_offer(courier_string_t *country, uint32_t grams, uint64_t *cents) {
  bool near = country->len == 2 && (memcmp(country->ptr, "de", 2) == 0 || memcmp(country->ptr, "nl", 2) == 0);
  courier_string_free(country);
  *cents = 1500;
  return near && grams <= 20000;
}
