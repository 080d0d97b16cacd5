#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

// A command names few things; they are kept until it is done.
static text_t words[4];
static size_t used;

service_string_t word(slice_t command, const char *field) {
  text_t *text = &words[used++ % 4];
  text->len = 0;
  json_string(json_field(command, field), text);
  return (service_string_t){(uint8_t *)text->at, text->len};
}

void forget(void) {
  for (used = 4; used > 0; used--) {
    free(words[used - 1].at);
    words[used - 1] = (text_t){0};
  }
}

static airssys_actor_messaging_payload_t body_of(slice_t command) {
  slice_t body = json_field(command, "body");
  return (airssys_actor_messaging_payload_t){(uint8_t *)body.at, body.len};
}

static void put_value(text_t *out, bool is_some, const uint8_t *bytes, size_t len) {
  if (is_some) {
    put_bytes(out, bytes, len);
  } else {
    put(out, "null");
  }
}

#define ACT(name) \
  static bool name(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault)

ACT(address) {
  service_string_t own;
  airssys_actor_messaging_self_address(&own);
  put_string(out, own.ptr, own.len);
  service_string_free(&own);
  return true;
}

// Each command that asks the state something begins so.
#define OPEN_STATE                                                       \
  airssys_state_t state;                                                 \
  airssys_state_error_t error;                                           \
  if (!airssys_state(&state, &error)) return state_refused(out, &error)

ACT(get) {
  OPEN_STATE;
  service_string_t key = word(command, "key");
  service_option_list_u8_t value;
  if (!wasi_keyvalue_store_method_bucket_get(state, &key, &value, &error)) return state_refused(out, &error);
  put_value(out, value.is_some, value.val.ptr, value.val.len);
  service_option_list_u8_free(&value);
  return true;
}

ACT(set) {
  OPEN_STATE;
  service_string_t key = word(command, "key");
  slice_t given = json_field(command, "value");
  service_list_u8_t value = {(uint8_t *)given.at, given.len};
  bool set = wasi_keyvalue_store_method_bucket_set(state, &key, &value, &error);
  return set ? null(out) : state_refused(out, &error);
}

ACT(delete_key) {
  OPEN_STATE;
  service_string_t key = word(command, "key");
  bool deleted = wasi_keyvalue_store_method_bucket_delete(state, &key, &error);
  return deleted ? null(out) : state_refused(out, &error);
}

ACT(exists) {
  OPEN_STATE;
  service_string_t key = word(command, "key");
  bool there;
  if (!wasi_keyvalue_store_method_bucket_exists(state, &key, &there, &error)) return state_refused(out, &error);
  put(out, there ? "true" : "false");
  return true;
}

ACT(increment) {
  OPEN_STATE;
  service_string_t key = word(command, "key");
  uint64_t now, by = json_number(json_field(command, "by"));
  if (!wasi_keyvalue_atomics_increment(state, &key, by, &now, &error)) return state_refused(out, &error);
  put_number(out, now);
  return true;
}

static int in_order(const void *one, const void *other) { return strcmp(*(char *const *)one, *(char *const *)other); }

// All keys, page by page, each as a text of C.
static bool all_keys(airssys_state_t state, char ***keys, size_t *number, airssys_state_error_t *error) {
  service_option_u64_t cursor = {0};
  do {
    wasi_keyvalue_store_key_response_t page;
    uint64_t *from = cursor.is_some ? &cursor.val : NULL;
    if (!wasi_keyvalue_store_method_bucket_list_keys(state, from, &page, error)) return false;
    *keys = realloc(*keys, (*number + page.keys.len + 1) * sizeof(char *));
    for (size_t i = 0; i < page.keys.len; i++) {
      (*keys)[(*number)++] = strndup((const char *)page.keys.ptr[i].ptr, page.keys.ptr[i].len);
    }
    cursor = page.cursor;
    wasi_keyvalue_store_key_response_free(&page);
  } while (cursor.is_some);
  return true;
}

static void put_keys(text_t *out, char **keys, size_t number) {
  qsort(keys, number, sizeof(char *), in_order);
  put(out, "[");
  for (size_t i = 0; i < number; i++) {
    if (i > 0) put(out, ",");
    put_string(out, keys[i], strlen(keys[i]));
    free(keys[i]);
  }
  put(out, "]");
  free(keys);
}

ACT(keys) {
  OPEN_STATE;
  char **found = NULL;
  size_t number = 0;
  if (!all_keys(state, &found, &number, &error)) return state_refused(out, &error);
  put_keys(out, found, number);
  return true;
}

// The strings of a list, or the names of an object with its values.
typedef struct {
  service_string_t *names;
  slice_t *values;
  size_t number;
} names_t;

static names_t names_of(slice_t rest, bool valued) {
  names_t all = {0};
  slice_t name, value;
  while (json_next(&rest, valued ? &name : NULL, &value)) {
    if (all.number % 64 == 0) {
      all.names = realloc(all.names, (all.number + 64) * sizeof *all.names);
      all.values = realloc(all.values, (all.number + 64) * sizeof *all.values);
      if (all.names == NULL || all.values == NULL) abort();
    }
    text_t text = {0};
    json_string(valued ? name : value, &text);
    all.names[all.number] = (service_string_t){(uint8_t *)text.at, text.len};
    all.values[all.number++] = value;
  }
  return all;
}

static void free_names(names_t *all) {
  for (size_t i = 0; i < all->number; i++) free(all->names[i].ptr);
  free(all->names);
  free(all->values);
}

static void put_found(text_t *out, service_list_option_tuple2_string_list_u8_t *found) {
  put(out, "[");
  for (size_t i = 0; i < found->len; i++) {
    if (i > 0) put(out, ",");
    put_value(out, found->ptr[i].is_some, found->ptr[i].val.f1.ptr, found->ptr[i].val.f1.len);
  }
  put(out, "]");
  service_list_option_tuple2_string_list_u8_free(found);
}

ACT(get_many) {
  OPEN_STATE;
  service_list_option_tuple2_string_list_u8_t found;
  names_t keys = names_of(json_field(command, "keys"), false);
  bool got = wasi_keyvalue_batch_get_many(state, &(service_list_string_t){keys.names, keys.number}, &found, &error);
  free_names(&keys);
  if (!got) return state_refused(out, &error);
  put_found(out, &found);
  return true;
}

ACT(set_many) {
  OPEN_STATE;
  names_t all = names_of(json_field(command, "values"), true);
  service_list_tuple2_string_list_u8_t list = {calloc(all.number + 1, sizeof *list.ptr), all.number};
  if (list.ptr == NULL) abort();
  for (size_t i = 0; i < all.number; i++) {
    list.ptr[i].f0 = all.names[i];
    list.ptr[i].f1 = (service_list_u8_t){(uint8_t *)all.values[i].at, all.values[i].len};
  }
  bool set = wasi_keyvalue_batch_set_many(state, &list, &error);
  free(list.ptr);
  free_names(&all);
  return set ? null(out) : state_refused(out, &error);
}

ACT(delete_many) {
  OPEN_STATE;
  names_t keys = names_of(json_field(command, "keys"), false);
  bool deleted = wasi_keyvalue_batch_delete_many(state, &(service_list_string_t){keys.names, keys.number}, &error);
  free_names(&keys);
  return deleted ? null(out) : state_refused(out, &error);
}

static bool appended(const char *name, slice_t value, text_t *out) {
  airssys_state_t state;
  airssys_state_error_t error;
  service_option_list_u8_t before;
  service_string_t key = airssys_text(name);
  if (!airssys_state(&state, &error)) return state_refused(out, &error);
  if (!wasi_keyvalue_store_method_bucket_get(state, &key, &before, &error)) return state_refused(out, &error);
  slice_t rest = {"[]", 2}, each;
  if (before.is_some) rest = (slice_t){(const char *)before.val.ptr, before.val.len};
  text_t all = {0};
  size_t number = 0;
  put(&all, "[");
  for (; json_next(&rest, NULL, &each); number++) {
    put_slice(&all, each);
    put(&all, ",");
  }
  put_slice(&all, value);
  put(&all, "]");
  service_option_list_u8_free(&before);
  service_list_u8_t bytes = {(uint8_t *)all.at, all.len};
  bool set = wasi_keyvalue_store_method_bucket_set(state, &key, &bytes, &error);
  free(all.at);
  if (!set) return state_refused(out, &error);
  put_number(out, number + 1);
  return true;
}

void append(const char *key, slice_t value, text_t *out) { appended(key, value, out); }

ACT(append_to) {
  service_string_t key = word(command, "key");
  char name[256];
  snprintf(name, sizeof name, "%.*s", (int)key.len, (const char *)key.ptr);
  return appended(name, json_field(command, "value"), out);
}

ACT(send) {
  airssys_actor_types_send_error_t error;
  service_string_t to = word(command, "to"), key = word(command, "key");
  airssys_actor_messaging_payload_t body = body_of(command);
  bool sent = airssys_actor_messaging_send(&to, json_field(command, "key").len > 0 ? &key : NULL, &body, &error);
  return sent ? null(out) : send_refused(out, &error);
}

ACT(call) {
  airssys_actor_types_call_error_t error;
  airssys_actor_messaging_option_payload_t answer;
  service_string_t to = word(command, "to"), key = word(command, "key");
  airssys_actor_messaging_payload_t body = body_of(command);
  uint64_t timeout = json_number(json_field(command, "timeout_ms"));
  service_string_t *keyed = json_field(command, "key").len > 0 ? &key : NULL;
  if (!airssys_actor_messaging_call(&to, keyed, &body, timeout, &answer, &error)) return call_refused(out, &error);
  put_value(out, answer.is_some, answer.val.ptr, answer.val.len);
  airssys_actor_messaging_option_payload_free(&answer);
  return true;
}

ACT(publish) {
  airssys_actor_types_send_error_t error;
  service_string_t topic = word(command, "topic");
  airssys_actor_messaging_payload_t body = body_of(command);
  return airssys_actor_messaging_publish(&topic, &body, &error) ? null(out) : send_refused(out, &error);
}

ACT(subscribe) {
  airssys_actor_types_send_error_t error;
  service_string_t pattern = word(command, "pattern");
  return airssys_actor_messaging_subscribe(&pattern, &error) ? null(out) : send_refused(out, &error);
}

ACT(unsubscribe) {
  airssys_actor_types_send_error_t error;
  service_string_t pattern = word(command, "pattern");
  return airssys_actor_messaging_unsubscribe(&pattern, &error) ? null(out) : send_refused(out, &error);
}

ACT(write_log) {
  static const char *const LEVELS[] = {"trace", "debug", "info", "warn", "error"};
  service_string_t level = word(command, "level"), line = word(command, "line");
  airssys_actor_log_level_t on = 0;
  while (on < 4 && memcmp(level.ptr, LEVELS[on], level.len) != 0) on++;
  airssys_actor_log_write(on, &line);
  return null(out);
}

ACT(configured) {
  service_string_t key = word(command, "key");
  service_option_string_t value;
  wasi_config_store_error_t error;
  if (!wasi_config_store_get(&key, &value, &error)) return refused(out, "config", "");
  if (!value.is_some) return null(out);
  put_string(out, value.val.ptr, value.val.len);
  service_option_string_free(&value);
  return true;
}

ACT(all_configured) {
  service_list_tuple2_string_string_t all;
  wasi_config_store_error_t error;
  if (!wasi_config_store_get_all(&all, &error)) return refused(out, "config", "");
  put(out, "{");
  for (size_t i = 0; i < all.len; i++) {
    if (i > 0) put(out, ",");
    put_string(out, all.ptr[i].f0.ptr, all.ptr[i].f0.len);
    put(out, ":");
    put_string(out, all.ptr[i].f1.ptr, all.ptr[i].f1.len);
  }
  put(out, "}");
  service_list_tuple2_string_string_free(&all);
  return true;
}

ACT(spawn) {
  airssys_actor_supervision_supervision_error_t error;
  service_string_t service = word(command, "service"), name = word(command, "name"), child;
  if (!airssys_actor_supervision_spawn(&service, &name, &child, &error)) return child_refused(out, &error);
  put_string(out, child.ptr, child.len);
  service_string_free(&child);
  return true;
}

#define CHILD(name)                                                                                         \
  ACT(name) {                                                                                               \
    airssys_actor_supervision_supervision_error_t error;                                                    \
    service_string_t child = word(command, "child");                                                        \
    return airssys_actor_supervision_##name(&child, &error) ? null(out) : child_refused(out, &error);       \
  }

CHILD(stop)
CHILD(monitor)
CHILD(demonitor)
CHILD(link)

ACT(environment) {
  service_string_t name = word(command, "name");
  char text[256];
  snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.ptr);
  const char *value = getenv(text);
  if (value == NULL) return null(out);
  put_string(out, value, strlen(value));
  return true;
}

ACT(read_file) {
  service_string_t name = word(command, "path");
  char path[256], bytes[4096];
  snprintf(path, sizeof path, "%.*s", (int)name.len, (const char *)name.ptr);
  FILE *file = fopen(path, "r");
  if (file == NULL) return refused(out, "io", "it cannot be opened");
  text_t all = {0};
  for (size_t read; (read = fread(bytes, 1, sizeof bytes, file)) > 0;) put_bytes(&all, bytes, read);
  fclose(file);
  put_string(out, all.at, all.len);
  free(all.at);
  return true;
}

const entry_t HOST[] = {
    {"address", address},       {"get", get},
    {"set", set},               {"delete", delete_key},
    {"exists", exists},         {"increment", increment},
    {"keys", keys},             {"get-many", get_many},
    {"set-many", set_many},     {"delete-many", delete_many},
    {"append", append_to},      {"send", send},
    {"call", call},             {"publish", publish},
    {"subscribe", subscribe},   {"unsubscribe", unsubscribe},
    {"log", write_log},         {"config", configured},
    {"config-all", all_configured}, {"spawn", spawn},
    {"stop", stop},             {"monitor", monitor},
    {"demonitor", demonitor},   {"link", link},
    {"environment", environment}, {"read-file", read_file},
    {NULL, NULL},
};
