#include <stdio.h>
#include <string.h>

#include "guest.h"

static bool told(text_t *out, const char *before, const char *name, const service_string_t *text) {
  put(out, "{\"error\":\"");
  put(out, before);
  put(out, name);
  put(out, "\",\"text\":");
  put_string(out, text->ptr, text->len);
  put(out, "}");
  return true;
}

bool refused(text_t *out, const char *name, const char *text) {
  service_string_t borrowed = airssys_text(text);
  return told(out, "", name, &borrowed);
}

bool null(text_t *out) {
  put(out, "null");
  return true;
}

static bool not_sent(text_t *out, const char *before, const airssys_actor_types_send_error_t *error) {
  static const char *const NAMES[] = {"denied", "no-such-service", "overloaded", "too-large", "stopped"};
  char limit[24];
  snprintf(limit, sizeof limit, "%llu", (unsigned long long)error->val.too_large);
  service_string_t text = airssys_text("");
  if (error->tag == AIRSSYS_ACTOR_TYPES_SEND_ERROR_TOO_LARGE) text = airssys_text(limit);
  if (error->tag <= AIRSSYS_ACTOR_TYPES_SEND_ERROR_NO_SUCH_SERVICE) text = error->val.denied;
  return told(out, before, NAMES[error->tag], &text);
}

bool send_refused(text_t *out, airssys_actor_types_send_error_t *error) {
  not_sent(out, "", error);
  airssys_actor_types_send_error_free(error);
  return true;
}

bool call_refused(text_t *out, airssys_actor_types_call_error_t *error) {
  static const char *const KINDS[] = {"invalid", "refused", "unavailable", "internal"};
  service_string_t none = airssys_text("");
  switch (error->tag) {
    case AIRSSYS_ACTOR_TYPES_CALL_ERROR_NOT_SENT: not_sent(out, "not-sent/", &error->val.not_sent); break;
    case AIRSSYS_ACTOR_TYPES_CALL_ERROR_TIMEOUT: told(out, "", "timeout", &none); break;
    case AIRSSYS_ACTOR_TYPES_CALL_ERROR_DEADLOCK: told(out, "", "deadlock", &none); break;
    case AIRSSYS_ACTOR_TYPES_CALL_ERROR_FAULT:
      told(out, "fault/", KINDS[error->val.fault.tag], &error->val.fault.val.invalid);
      break;
    case AIRSSYS_ACTOR_TYPES_CALL_ERROR_CRASHED: told(out, "", "crashed", &error->val.crashed); break;
    default: told(out, "", "dropped", &error->val.dropped);
  }
  airssys_actor_types_call_error_free(error);
  return true;
}

bool state_refused(text_t *out, airssys_state_error_t *error) {
  static const char *const NAMES[] = {"no-state", "state-denied", "state"};
  service_string_t none = airssys_text("");
  told(out, "", NAMES[error->tag], error->tag == WASI_KEYVALUE_STORE_ERROR_OTHER ? &error->val.other : &none);
  wasi_keyvalue_store_error_free(error);
  return true;
}

bool child_refused(text_t *out, airssys_actor_supervision_supervision_error_t *error) {
  static const char *const NAMES[] = {"denied", "no-such-child", "taken", "overloaded", "deaf"};
  service_string_t none = airssys_text("");
  told(out, "", NAMES[error->tag], error->tag <= 1 ? &error->val.denied : &none);
  airssys_actor_supervision_supervision_error_free(error);
  return true;
}
