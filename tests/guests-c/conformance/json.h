// As much of JSON as the guest needs. A value is kept as it was written, so that it goes back as it came.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A part of a text that somebody else owns. Without a length it is nothing.
typedef struct {
  const char *at;
  size_t len;
} slice_t;

// A text that grows, and whoever has it frees it.
typedef struct {
  char *at;
  size_t len, room;
} text_t;

void put_bytes(text_t *text, const void *bytes, size_t len);
void put(text_t *text, const char *words);
void put_slice(text_t *text, slice_t slice);
void put_number(text_t *text, uint64_t number);
// With quotes around it.
void put_string(text_t *text, const void *bytes, size_t len);

slice_t slice_of(const text_t *text);
bool slice_is(slice_t slice, const char *words);

// Whether this is one value, and no more than that.
bool json_is_value(slice_t text);
// The value of a field of an object; nothing where there is none, or where this is no object.
slice_t json_field(slice_t object, const char *name);
// Goes through a list, or an object: `rest` is it at first. Of an object `name` is given as well.
bool json_next(slice_t *rest, slice_t *name, slice_t *value);
// What a string says, without quotes; false where this is no string.
bool json_string(slice_t value, text_t *into);
uint64_t json_number(slice_t value);
