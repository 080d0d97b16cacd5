#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void put_bytes(text_t *text, const void *bytes, size_t len) {
  if (text->len + len > text->room) {
    text->room = 2 * (text->len + len);
    text->at = realloc(text->at, text->room);
    if (text->at == NULL) abort();
  }
  if (len > 0) memcpy(text->at + text->len, bytes, len);
  text->len += len;
}

void put(text_t *text, const char *words) { put_bytes(text, words, strlen(words)); }

void put_slice(text_t *text, slice_t slice) { put_bytes(text, slice.at, slice.len); }

void put_number(text_t *text, uint64_t number) {
  char digits[24];
  put_bytes(text, digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)number));
}

void put_string(text_t *text, const void *bytes, size_t len) {
  const unsigned char *at = bytes;
  put(text, "\"");
  for (size_t i = 0; i < len; i++) {
    char escape[8];
    if (at[i] == '"' || at[i] == '\\') {
      snprintf(escape, sizeof escape, "\\%c", at[i]);
      put(text, escape);
    } else if (at[i] < 0x20) {
      snprintf(escape, sizeof escape, "\\u%04x", at[i]);
      put(text, escape);
    } else {
      put_bytes(text, at + i, 1);
    }
  }
  put(text, "\"");
}

slice_t slice_of(const text_t *text) { return (slice_t){text->at, text->len}; }

bool slice_is(slice_t slice, const char *words) {
  return slice.len == strlen(words) && memcmp(slice.at, words, slice.len) == 0;
}

static void skip_space(slice_t *rest) {
  while (rest->len > 0 && strchr(" \t\r\n", *rest->at) != NULL) rest->at++, rest->len--;
}

static bool take(slice_t *rest, char sign) {
  skip_space(rest);
  if (rest->len == 0 || *rest->at != sign) return false;
  rest->at++, rest->len--;
  return true;
}

static bool take_string(slice_t *rest) {
  if (!take(rest, '"')) return false;
  while (rest->len > 0) {
    char sign = *rest->at;
    size_t signs = sign == '\\' && rest->len > 1 ? 2 : 1;
    rest->at += signs, rest->len -= signs;
    if (sign == '"') return true;
  }
  return false;
}

static bool take_value(slice_t *rest);

static bool take_all(slice_t *rest, char end, bool named) {
  if (take(rest, end)) return true;
  do {
    if (named && !(take_string(rest) && take(rest, ':'))) return false;
    if (!take_value(rest)) return false;
  } while (take(rest, ','));
  return take(rest, end);
}

static bool take_value(slice_t *rest) {
  if (take(rest, '{')) return take_all(rest, '}', true);
  if (take(rest, '[')) return take_all(rest, ']', false);
  skip_space(rest);
  if (rest->len > 0 && *rest->at == '"') return take_string(rest);
  size_t signs = 0;
  while (signs < rest->len && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", rest->at[signs]) != NULL) signs++;
  rest->at += signs, rest->len -= signs;
  return signs > 0;
}

static bool value_of(slice_t *rest, slice_t *value) {
  skip_space(rest);
  const char *begin = rest->at;
  if (!take_value(rest)) return false;
  *value = (slice_t){begin, (size_t)(rest->at - begin)};
  return true;
}

bool json_is_value(slice_t text) {
  slice_t value;
  if (!value_of(&text, &value)) return false;
  skip_space(&text);
  return text.len == 0;
}

bool json_next(slice_t *rest, slice_t *name, slice_t *value) {
  bool object = take(rest, '{');
  if (!object && !take(rest, '[') && !take(rest, ',')) return false;
  skip_space(rest);
  if (name != NULL && !(value_of(rest, name) && take(rest, ':'))) return false;
  return value_of(rest, value);
}

slice_t json_field(slice_t object, const char *name) {
  slice_t found, value, none = {NULL, 0};
  skip_space(&object);
  if (object.len == 0 || *object.at != '{') return none;
  while (json_next(&object, &found, &value)) {
    if (found.len == strlen(name) + 2 && memcmp(found.at + 1, name, found.len - 2) == 0) return value;
  }
  return none;
}

static uint32_t hexadecimal(const char *at) {
  char digits[5] = {at[0], at[1], at[2], at[3], 0};
  return (uint32_t)strtoul(digits, NULL, 16);
}

static void put_char(text_t *text, uint32_t code) {
  char bytes[4];
  size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const unsigned char FIRST[5] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = len - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3f));
  bytes[0] = (char)(FIRST[len] | code);
  put_bytes(text, bytes, len);
}

bool json_string(slice_t value, text_t *into) {
  if (value.len < 2 || *value.at != '"') return false;
  const char *at = value.at + 1, *end = value.at + value.len - 1;
  while (at < end) {
    if (*at != '\\') {
      put_bytes(into, at++, 1);
    } else if (at[1] == 'u' && end - at >= 6) {
      uint32_t code = hexadecimal(at + 2);
      at += 6;
      if (code >= 0xd800 && code < 0xdc00 && end - at >= 6) {
        code = 0x10000 + ((code - 0xd800) << 10) + (hexadecimal(at + 2) - 0xdc00);
        at += 6;
      }
      put_char(into, code);
    } else {
      static const char SIGNS[] = "bfnrt", MEANT[] = "\b\f\n\r\t";
      const char *sign = strchr(SIGNS, at[1]);
      put_bytes(into, sign != NULL ? MEANT + (sign - SIGNS) : at + 1, 1);
      at += 2;
    }
  }
  return true;
}

uint64_t json_number(slice_t value) {
  char digits[24] = {0};
  memcpy(digits, value.at, value.len < sizeof digits - 1 ? value.len : sizeof digits - 1);
  return strtoull(digits, NULL, 10);
}
