#include "airssys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEAK __attribute__((weak))

// What a service does not say itself.

WEAK bool airssys_init(airssys_fault_t *fault) { return true; }

WEAK void airssys_stop(airssys_stop_reason_t reason) {}

WEAK bool airssys_check(airssys_fault_t *fault) { return true; }

WEAK bool airssys_snapshot(airssys_snapshot_t *snapshot, airssys_fault_t *fault) { return true; }

WEAK bool airssys_restore(const service_list_u8_t *snapshot, airssys_fault_t *fault) { return true; }

WEAK bool airssys_migrate(uint32_t from, airssys_fault_t *fault) {
  return airssys_refused(fault, "this release has no `airssys_migrate` from the state schema %u", (unsigned)from);
}

WEAK bool airssys_down(const airssys_down_t *notice, airssys_fault_t *fault) { return true; }

// What the contract exports.

bool exports_airssys_actor_handler_handle(airssys_message_t *message, airssys_answer_t *answer,
                                          airssys_fault_t *fault) {
  answer->is_some = false;
  bool handled = airssys_handle(message, answer, fault);
  exports_airssys_actor_handler_message_free(message);
  return handled;
}

bool exports_airssys_actor_lifecycle_init(airssys_fault_t *fault) { return airssys_init(fault); }

void exports_airssys_actor_lifecycle_stop(airssys_stop_reason_t reason) { airssys_stop(reason); }

bool exports_airssys_actor_health_check(airssys_fault_t *fault) { return airssys_check(fault); }

bool exports_airssys_actor_upgrade_snapshot(airssys_snapshot_t *snapshot, airssys_fault_t *fault) {
  snapshot->is_some = false;
  return airssys_snapshot(snapshot, fault);
}

bool exports_airssys_actor_upgrade_restore(service_list_u8_t *snapshot, airssys_fault_t *fault) {
  bool restored = airssys_restore(snapshot, fault);
  service_list_u8_free(snapshot);
  return restored;
}

bool exports_airssys_actor_upgrade_migrate(uint32_t from, airssys_fault_t *fault) {
  return airssys_migrate(from, fault);
}

bool exports_airssys_actor_monitoring_down(airssys_down_t *notice, airssys_fault_t *fault) {
  bool told = airssys_down(notice, fault);
  exports_airssys_actor_monitoring_down_notice_free(notice);
  return told;
}

// What each would write for itself.

// Without memory there is no turn to go on with: a trap, which the supervisor hears of.
static void *copy_of(const void *bytes, size_t len) {
  // The bindings free nothing that is empty.
  if (len == 0) return NULL;
  void *copy = malloc(len);
  if (copy == NULL) abort();
  return memcpy(copy, bytes, len);
}

static bool fault_of(airssys_fault_t *fault, uint8_t kind, const char *format, va_list values) {
  va_list again;
  va_copy(again, values);
  int len = vsnprintf(NULL, 0, format, again);
  va_end(again);
  // All kinds have one text, at the same place.
  service_string_t *text = &fault->val.invalid;
  fault->tag = kind;
  text->len = len > 0 ? (size_t)len : 0;
  text->ptr = NULL;
  if (text->len == 0) return false;
  text->ptr = malloc(text->len + 1);
  if (text->ptr == NULL) abort();
  vsnprintf((char *)text->ptr, text->len + 1, format, values);
  return false;
}

#define FAULT(name, kind)                                                    \
  bool airssys_##name(airssys_fault_t *fault, const char *format, ...) {     \
    va_list values;                                                          \
    va_start(values, format);                                                \
    bool handled = fault_of(fault, kind, format, values);                    \
    va_end(values);                                                          \
    return handled;                                                          \
  }

FAULT(invalid, AIRSSYS_ACTOR_TYPES_FAULT_INVALID)
FAULT(refused, AIRSSYS_ACTOR_TYPES_FAULT_REFUSED)
FAULT(unavailable, AIRSSYS_ACTOR_TYPES_FAULT_UNAVAILABLE)
FAULT(internal, AIRSSYS_ACTOR_TYPES_FAULT_INTERNAL)

bool airssys_answer(airssys_answer_t *answer, const void *bytes, size_t len) {
  answer->is_some = true;
  answer->val.ptr = copy_of(bytes, len);
  answer->val.len = len;
  return true;
}

bool airssys_hand_over(airssys_snapshot_t *snapshot, const void *bytes, size_t len) {
  snapshot->is_some = true;
  snapshot->val.ptr = copy_of(bytes, len);
  snapshot->val.len = len;
  return true;
}

service_string_t airssys_text(const char *text) { return (service_string_t){(uint8_t *)text, strlen(text)}; }

bool airssys_state(airssys_state_t *state, airssys_state_error_t *error) {
  static wasi_keyvalue_store_own_bucket_t bucket;
  static bool opened = false;
  service_string_t own = airssys_text("default");
  if (!opened && !wasi_keyvalue_store_open(&own, &bucket, error)) return false;
  opened = true;
  *state = wasi_keyvalue_store_borrow_bucket(bucket);
  return true;
}

void airssys_log(airssys_actor_log_level_t level, const char *format, ...) {
  char line[1024];
  va_list values;
  va_start(values, format);
  vsnprintf(line, sizeof line, format, values);
  va_end(values);
  service_string_t text = airssys_text(line);
  airssys_actor_log_write(level, &text);
}
