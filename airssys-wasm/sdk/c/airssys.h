// Services of airssys in C, over what wit-bindgen makes of the contract (`service.h`): send, call and whatever else asks
// the host is there, as `airssys_actor_messaging_send` and so on, and not here again. Here is what a service is, and
// what each of them would write for itself.
//
// A service defines `airssys_handle`. The other handlers it may define: `airssys.c` has weak ones.
//
// The handling of one message is a turn. State writes, sends, publishes, timers and what is done to children are held
// back: they happen together when the handler returns true, and not at all when it returns false with a fault. A call is
// not. What ends the instance (a trap, `abort`) ends the turn, and the supervisor decides.
//
// Who owns what:
// - What a handler is given it borrows: it lives until the handler returns, and is freed then.
// - What a handler gives back, an answer or the text of a fault, is its own `malloc`, and freed by the bindings. The
//   helpers below copy. Nothing else here allocates.
// - What a function of the host gives back is the caller's, to free with the `..._free` of its type. What such a
//   function is given it borrows.

#pragma once

#include "service.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef exports_airssys_actor_handler_message_t airssys_message_t;
typedef exports_airssys_actor_handler_option_payload_t airssys_answer_t;
typedef airssys_actor_types_fault_t airssys_fault_t;
typedef exports_airssys_actor_lifecycle_stop_reason_t airssys_stop_reason_t;
typedef exports_airssys_actor_monitoring_down_notice_t airssys_down_t;
typedef service_option_list_u8_t airssys_snapshot_t;
typedef wasi_keyvalue_store_error_t airssys_state_error_t;
typedef wasi_keyvalue_store_borrow_bucket_t airssys_state_t;

// Handles a message. `answer` has no body at first; false with a fault is an answer as well, which says no.
bool airssys_handle(const airssys_message_t *message, airssys_answer_t *answer, airssys_fault_t *fault);
// Called once, before the first message, in every new instance. A fault is a failed start.
bool airssys_init(airssys_fault_t *fault);
// Called once, after the last message, where the instance is stopped in order.
void airssys_stop(airssys_stop_reason_t reason);
// Whether this instance can do its work. Its effects are always discarded.
bool airssys_check(airssys_fault_t *fault);
// What is worth keeping of this instance's memory, for the release that takes over; nothing at first.
bool airssys_snapshot(airssys_snapshot_t *snapshot, airssys_fault_t *fault);
// Takes what the release before handed over: after `airssys_init`, before the first message.
bool airssys_restore(const service_list_u8_t *snapshot, airssys_fault_t *fault);
// Brings the stored state from another release's schema to this one's own. The weak one refuses.
bool airssys_migrate(uint32_t from, airssys_fault_t *fault);
// Called once for each child that was monitored and has ended.
bool airssys_down(const airssys_down_t *notice, airssys_fault_t *fault);

// Faults, each with a text as by `printf`. They return false: `return airssys_refused(fault, "only %d are left", n);`
// The message makes no sense here. Sending it again will not help.
bool airssys_invalid(airssys_fault_t *fault, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The message was understood, and the answer is no.
bool airssys_refused(airssys_fault_t *fault, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Something that is needed was not there. Sending it again later may help.
bool airssys_unavailable(airssys_fault_t *fault, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The service failed in a way that it did not foresee.
bool airssys_internal(airssys_fault_t *fault, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Answers with a copy of these bytes. Returns true.
bool airssys_answer(airssys_answer_t *answer, const void *bytes, size_t len);
// Hands over a copy of these bytes. Returns true.
bool airssys_hand_over(airssys_snapshot_t *snapshot, const void *bytes, size_t len);

// A text of C as one of the bindings, which borrows it: for what the host is asked, not for what is given back.
service_string_t airssys_text(const char *text);

// The state of this service, for `wasi_keyvalue_store_method_bucket_get` and so on. Opened at the first use, and kept.
bool airssys_state(airssys_state_t *state, airssys_state_error_t *error);

// Writes a line, as by `printf`, at most 1,023 bytes of it. The level is one of `AIRSSYS_ACTOR_LOG_LEVEL_...`.
void airssys_log(airssys_actor_log_level_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
