// The guest of the conformance suite, in C. What it does is described in `tests/conformance/README.md`, and is the same
// in each language.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

// What the instance holds in its own memory.
static uint64_t count;
static text_t remembered;
static bool has_timer;
static airssys_actor_messaging_timer_id_t timer;

static slice_t remembers(void) { return remembered.len > 0 ? slice_of(&remembered) : (slice_t){"null", 4}; }

static void remember_this(slice_t value) {
  remembered.len = 0;
  put_slice(&remembered, value);
}

static act_t perform;

static bool echo(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  put_slice(out, json_field(command, "value"));
  return true;
}

static bool all(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  slice_t rest = json_field(command, "of"), each;
  put(out, "[");
  for (bool first = true; json_next(&rest, NULL, &each); first = false) {
    if (!first) put(out, ",");
    if (!perform(each, message, out, fault)) return false;
  }
  put(out, "]");
  return true;
}

static bool counted(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  put_number(out, count);
  return true;
}

static void put_optional(text_t *out, const service_option_string_t *text) {
  if (text->is_some) {
    put_string(out, text->val.ptr, text->val.len);
  } else {
    put(out, "null");
  }
}

static bool context(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  static const char *const DELIVERIES[] = {"send", "call", "publish", "timer"};
  if (message == NULL) return null(out);
  const airssys_actor_types_delivery_t *delivery = &message->delivery;
  service_string_t own;
  airssys_actor_messaging_self_address(&own);
  put(out, "{\"address\":");
  put_string(out, own.ptr, own.len);
  service_string_free(&own);
  put(out, ",\"sender\":");
  put_optional(out, &message->sender);
  put(out, ",\"key\":");
  put_optional(out, &message->key);
  put(out, ",\"delivery\":\"");
  put(out, DELIVERIES[delivery->tag]);
  put(out, "\",\"topic\":");
  bool published = delivery->tag == AIRSSYS_ACTOR_TYPES_DELIVERY_PUBLISH;
  put_optional(out, &(service_option_string_t){published, delivery->val.publish});
  bool has_time = delivery->tag == AIRSSYS_ACTOR_TYPES_DELIVERY_CALL && delivery->val.call > 0;
  put(out, has_time ? ",\"has-time\":true" : ",\"has-time\":false");
  put(out, ",\"attempt\":");
  put_number(out, message->attempt);
  put(out, "}");
  return true;
}

static bool remember(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  remember_this(json_field(command, "value"));
  return null(out);
}

static bool recall(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  put_slice(out, remembers());
  return true;
}

static bool send_after(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  slice_t body = json_field(command, "body");
  airssys_actor_messaging_payload_t bytes = {(uint8_t *)body.at, body.len};
  airssys_actor_types_send_error_t error;
  uint64_t delay = json_number(json_field(command, "delay_ms"));
  if (!airssys_actor_messaging_send_after(delay, &bytes, &timer, &error)) return send_refused(out, &error);
  has_timer = true;
  return null(out);
}

static bool cancel(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  put(out, has_timer && airssys_actor_messaging_cancel(timer) ? "true" : "false");
  return true;
}

static bool make_fault(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  service_string_t kind = word(command, "kind"), reason = word(command, "reason");
  const char *text = (const char *)reason.ptr;
  int len = (int)reason.len;
  switch (kind.ptr[2]) {
    case 'v': return airssys_invalid(fault, "%.*s", len, text);
    case 'f': return airssys_refused(fault, "%.*s", len, text);
    case 'a': return airssys_unavailable(fault, "%.*s", len, text);
    default: return airssys_internal(fault, "%.*s", len, text);
  }
}

static bool fault_if_set(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  airssys_state_t state;
  airssys_state_error_t error;
  bool there;
  service_string_t key = word(command, "key");
  if (!airssys_state(&state, &error) || !wasi_keyvalue_store_method_bucket_exists(state, &key, &there, &error)) {
    return state_refused(out, &error);
  }
  return there ? make_fault(command, message, out, fault) : null(out);
}

static bool keep_context(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  airssys_state_t state;
  airssys_state_error_t error;
  text_t seen = {0};
  context(command, message, &seen, fault);
  service_string_t key = word(command, "key");
  service_list_u8_t value = {(uint8_t *)seen.at, seen.len};
  bool kept = airssys_state(&state, &error) && wasi_keyvalue_store_method_bucket_set(state, &key, &value, &error);
  free(seen.at);
  return kept ? null(out) : state_refused(out, &error);
}

static bool tell_attempt(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  char text[80];
  unsigned attempt = message == NULL ? 0 : message->attempt;
  int len = snprintf(text, sizeof text, "{\"do\":\"append\",\"key\":\"attempts\",\"value\":%u}", attempt);
  airssys_actor_messaging_payload_t body = {(uint8_t *)text, (size_t)len};
  airssys_actor_messaging_option_payload_t answer;
  airssys_actor_types_call_error_t error;
  service_string_t to = word(command, "to");
  if (!airssys_actor_messaging_call(&to, NULL, &body, 60000, &answer, &error)) {
    airssys_actor_types_call_error_free(&error);
    return airssys_unavailable(fault, "nobody is told of the attempt");
  }
  airssys_actor_messaging_option_payload_free(&answer);
  return null(out);
}

static bool trap(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  // Past the end of the memory. At 0 there is some, as anywhere else in it.
  volatile char *nowhere = (char *)UINTPTR_MAX;
  return *nowhere != 0;
}

static bool leave(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  exit((int)json_number(json_field(command, "status")));
}

static bool spin(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  // Each turn of it is seen by nobody, which the compiler is not to know.
  for (volatile unsigned turns = 0;;) turns = turns + 1;
}

static bool wait_for(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  usleep(1000 * (useconds_t)json_number(json_field(command, "ms")));
  return null(out);
}

static const entry_t OWN[] = {
    {"echo", echo},       {"all", all},         {"count", counted},       {"context", context}, {"remember", remember},
    {"recall", recall},   {"cancel", cancel},   {"fault", make_fault},    {"trap", trap},       {"exit", leave},
    {"spin", spin},       {"sleep", wait_for},  {"send-after", send_after}, {"fault-if-set", fault_if_set},
    {"keep-context", keep_context}, {"tell-attempt", tell_attempt}, {NULL, NULL},
};

static act_t *found(const entry_t *entries, slice_t name) {
  for (; entries->name != NULL; entries++) {
    if (name.len == strlen(entries->name) + 2 && memcmp(name.at + 1, entries->name, name.len - 2) == 0) {
      return entries->act;
    }
  }
  return NULL;
}

// What comes of a command. An error of the host is answered; only `fault` makes a fault.
static bool perform(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault) {
  slice_t name = json_field(command, "do");
  act_t *act = found(OWN, name);
  if (act == NULL) act = found(HOST, name);
  if (act == NULL) return airssys_invalid(fault, "no command: %.*s", (int)command.len, command.at);
  return act(command, message, out, fault);
}

bool airssys_handle(const airssys_message_t *message, airssys_answer_t *answer, airssys_fault_t *fault) {
  count += 1;
  slice_t command = {(const char *)message->body.ptr, message->body.len};
  if (!json_is_value(command)) return airssys_invalid(fault, "the message is no JSON");
  if (slice_is(json_field(command, "do"), "\"nothing\"")) return true;
  text_t out = {0};
  bool handled = perform(command, message, &out, fault);
  if (handled) airssys_answer(answer, out.at, out.len);
  free(out.at);
  forget();
  return handled;
}

// Performs the command that stands under this key of the configuration, where there is one.
static bool perform_configured(const char *key, airssys_fault_t *fault) {
  service_string_t name = airssys_text(key);
  service_option_string_t command = {0};
  wasi_config_store_error_t error;
  if (!wasi_config_store_get(&name, &command, &error)) return airssys_internal(fault, "the configuration cannot be read");
  if (!command.is_some) return true;
  text_t out = {0};
  bool done = perform((slice_t){(const char *)command.val.ptr, command.val.len}, NULL, &out, fault);
  free(out.at);
  forget();
  service_option_string_free(&command);
  return done;
}

bool airssys_init(airssys_fault_t *fault) { return perform_configured("on-init", fault); }

bool airssys_check(airssys_fault_t *fault) { return perform_configured("on-check", fault); }

void airssys_stop(airssys_stop_reason_t reason) {
  static const char *const REASONS[] = {"shutdown", "restart", "idle"};
  service_string_t key = airssys_text("on-stop");
  service_option_string_t to = {0};
  wasi_config_store_error_t unreadable;
  if (!wasi_config_store_get(&key, &to, &unreadable) || !to.is_some) return;
  char body[80];
  int len = snprintf(body, sizeof body, "{\"do\":\"append\",\"key\":\"stopped\",\"value\":\"%s\"}", REASONS[reason]);
  airssys_actor_messaging_payload_t bytes = {(uint8_t *)body, (size_t)len};
  airssys_actor_types_send_error_t error;
  if (!airssys_actor_messaging_send(&to.val, NULL, &bytes, &error)) {
    airssys_log(AIRSSYS_ACTOR_LOG_LEVEL_ERROR, "nobody is told of the stop");
    airssys_actor_types_send_error_free(&error);
  }
  service_option_string_free(&to);
}

bool airssys_snapshot(airssys_snapshot_t *snapshot, airssys_fault_t *fault) {
  if (!perform_configured("on-snapshot", fault)) return false;
  return airssys_hand_over(snapshot, remembers().at, remembers().len);
}

bool airssys_restore(const service_list_u8_t *snapshot, airssys_fault_t *fault) {
  if (!perform_configured("on-restore", fault)) return false;
  remember_this((slice_t){(const char *)snapshot->ptr, snapshot->len});
  return true;
}

bool airssys_migrate(uint32_t from, airssys_fault_t *fault) {
  char digits[16];
  airssys_state_t state;
  airssys_state_error_t error;
  int len = snprintf(digits, sizeof digits, "%u", (unsigned)from);
  service_string_t key = airssys_text("migrated-from");
  service_list_u8_t value = {(uint8_t *)digits, (size_t)len};
  if (!airssys_state(&state, &error) || !wasi_keyvalue_store_method_bucket_set(state, &key, &value, &error)) {
    wasi_keyvalue_store_error_free(&error);
    return airssys_internal(fault, "the state cannot be written");
  }
  return perform_configured("on-migrate", fault);
}

bool airssys_down(const airssys_down_t *notice, airssys_fault_t *fault) {
  static const char *const REASONS[] = {"normal", "stopped", "killed", "crashed/", "no-child"};
  text_t value = {0}, ignored = {0};
  put(&value, "{\"child\":");
  put_string(&value, notice->child.ptr, notice->child.len);
  put(&value, ",\"reason\":\"");
  put(&value, REASONS[notice->reason.tag]);
  if (notice->reason.tag == EXPORTS_AIRSSYS_ACTOR_MONITORING_DOWN_REASON_CRASHED) {
    const service_string_t *code = &notice->reason.val.crashed.code;
    put_bytes(&value, code->ptr, code->len);
  }
  put(&value, notice->restarted ? "\",\"restarted\":true}" : "\",\"restarted\":false}");
  append("downs", slice_of(&value), &ignored);
  free(value.at);
  free(ignored.at);
  return true;
}
