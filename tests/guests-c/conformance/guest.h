// What the parts of the guest share.

#pragma once

#include "airssys.h"
#include "json.h"

// What a command does: its answer to `out`, or a fault.
typedef bool act_t(slice_t command, const airssys_message_t *message, text_t *out, airssys_fault_t *fault);

typedef struct {
  const char *name;
  act_t *act;
} entry_t;

// The commands for which nothing of the instance's memory is needed; the last one has no name.
extern const entry_t HOST[];

// The string in a field, as one that the host borrows. It lives until `forget`.
service_string_t word(slice_t command, const char *field);
void forget(void);
// Appends to the list under a key of the state; what that comes to goes to `out`.
void append(const char *key, slice_t value, text_t *out);

// Errors of the host as answers: `{"error": NAME, "text": TEXT}`, where the text is what the error carries. They free it.
bool send_refused(text_t *out, airssys_actor_types_send_error_t *error);
bool call_refused(text_t *out, airssys_actor_types_call_error_t *error);
bool state_refused(text_t *out, airssys_state_error_t *error);
bool child_refused(text_t *out, airssys_actor_supervision_supervision_error_t *error);
bool refused(text_t *out, const char *name, const char *text);
bool null(text_t *out);
