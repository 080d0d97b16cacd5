// Whether an order smells.

#include <stdlib.h>
#include <string.h>

#include "suspicion.h"

uint8_t exports_acme_desk_fraud_risk(suspicion_string_t *card, suspicion_string_t *note, uint64_t cents) {
  char upper[32];
  // A note that does not fit crashes the service, not its host; the wire says what the desk is to think of it then.
  if (note->len > sizeof upper) abort();
  for (size_t at = 0; at < note->len; at++) upper[at] = note->ptr[at] & 0xdf;
  uint8_t risk = cents > 100000 ? 40 : 10;
  if (note->len == 6 && memcmp(upper, "HURRY!", 5) == 0) risk += 50;
  suspicion_string_free(card);
  suspicion_string_free(note);
  return risk;
}
