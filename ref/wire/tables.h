/* SPDX-License-Identifier: MIT
 *
 * The state machines of the protocol as data: see tables.c. */
#ifndef COPSE_WIRE_TABLES_H
#define COPSE_WIRE_TABLES_H

#include <stdint.h>

/* A cell is the next state, or one of these. */
enum {
  COPSE__NEVER = 0xf0, /* cannot occur */
  COPSE__VIOLATION,    /* a violation with code `state` */
  COPSE__IGNORED,      /* a frame without any effect */
  COPSE__MISUSE,       /* a local event that is refused */
  COPSE__NOTHING,      /* a local event that is legal and writes nothing */
};

/* clang-format off */
#define COPSE__OPENER_STATES(X)                                                                   \
  X(UNOPENED, "unopened") X(OPENING, "opening") X(WAITING, "waiting") X(STARTED, "started")       \
  X(ENDED, "ended")
#define COPSE__OPENER_EVENTS(X)                                                                   \
  X(STARTED, "STARTED") X(ITEM, "ITEM") X(END, "END") X(STOP, "STOP") X(CREDIT, "CREDIT")         \
  X(RETURN, "RETURN") X(ERROR, "ERROR") X(CANCELLED, "CANCELLED")                                 \
  X(CANCELLED_ASKED, "CANCELLED after CANCEL") X(SEND_OPEN_MORE, "send OPEN+")                    \
  X(SEND_OPEN, "send OPEN") X(SEND_ITEM, "send ITEM") X(SEND_END, "send END")                     \
  X(SEND_STOP, "send STOP") X(SEND_CREDIT, "send CREDIT") X(SEND_CANCEL, "send CANCEL")           \
  X(LOSS, "loss")
#define COPSE__CALLEE_STATES(X)                                                                   \
  X(UNOPENED, "unopened") X(OPENING, "opening") X(RUNNING, "running") X(STARTED, "started")       \
  X(ENDED, "ended")
#define COPSE__CALLEE_EVENTS(X)                                                                   \
  X(OPEN_MORE, "OPEN+") X(OPEN, "OPEN") X(ITEM, "ITEM") X(END, "END") X(STOP, "STOP")             \
  X(CREDIT, "CREDIT") X(CANCEL, "CANCEL") X(SEND_STARTED, "send STARTED")                         \
  X(SEND_ITEM, "send ITEM") X(SEND_END, "send END") X(SEND_STOP, "send STOP")                     \
  X(SEND_CREDIT, "send CREDIT") X(SEND_RETURN, "send RETURN") X(SEND_ERROR, "send ERROR")         \
  X(SEND_CANCELLED, "send CANCELLED") X(SEND_CANCELLED_DUE, "send CANCELLED when cancelled")      \
  X(CANCELLED, "cancelled") X(LOSS, "loss")
#define COPSE__HALF_STATES(X)                                                                     \
  X(OPEN, "open") X(STOPPED, "stopped") X(ENDED, "ended")
#define COPSE__OUT_EVENTS(X)                                                                      \
  X(SEND_ITEM, "send ITEM") X(SEND_END, "send END") X(STOP, "STOP") X(CREDIT, "CREDIT")           \
  X(SEND_CANCEL, "send CANCEL") X(CANCEL, "CANCEL") X(TERMINAL, "terminal")
#define COPSE__IN_EVENTS(X)                                                                       \
  X(ITEM, "ITEM") X(END, "END") X(SEND_STOP, "send STOP") X(SEND_CREDIT, "send CREDIT")           \
  X(SEND_CANCEL, "send CANCEL") X(CANCEL, "CANCEL") X(TERMINAL, "terminal")
#define COPSE__LINK_STATES(X)                                                                     \
  X(HELLO, "hello") X(OPEN, "open") X(CLOSING, "closing") X(CLOSED, "closed")
#define COPSE__LINK_EVENTS(X)                                                                     \
  X(HELLO, "HELLO") X(BYE, "BYE") X(BYE_CODE, "BYE CODE") X(PING, "PING") X(PONG, "PONG")         \
  X(OPEN, "OPEN") X(OTHER, "other") X(SEND_BYE, "send BYE") X(IDLE, "idle") X(FAULT, "fault")     \
  X(EOF, "EOF")
/* clang-format on */

#define X(name, text) COPSE__OPENER_##name,
enum copse__opener_state { COPSE__OPENER_STATES(X) COPSE__OPENER_STATE_COUNT };
#undef X
#define X(name, text) COPSE__OPENER_ON_##name,
enum copse__opener_event { COPSE__OPENER_EVENTS(X) COPSE__OPENER_EVENT_COUNT };
#undef X
#define X(name, text) COPSE__CALLEE_##name,
enum copse__callee_state { COPSE__CALLEE_STATES(X) COPSE__CALLEE_STATE_COUNT };
#undef X
#define X(name, text) COPSE__CALLEE_ON_##name,
enum copse__callee_event { COPSE__CALLEE_EVENTS(X) COPSE__CALLEE_EVENT_COUNT };
#undef X
#define X(name, text) COPSE__HALF_##name,
enum copse__half_state { COPSE__HALF_STATES(X) COPSE__HALF_STATE_COUNT };
#undef X
#define X(name, text) COPSE__OUT_ON_##name,
enum copse__out_event { COPSE__OUT_EVENTS(X) COPSE__OUT_EVENT_COUNT };
#undef X
#define X(name, text) COPSE__IN_ON_##name,
enum copse__in_event { COPSE__IN_EVENTS(X) COPSE__IN_EVENT_COUNT };
#undef X
#define X(name, text) COPSE__LINK_##name,
enum copse__link_state { COPSE__LINK_STATES(X) COPSE__LINK_STATE_COUNT };
#undef X
#define X(name, text) COPSE__LINK_ON_##name,
enum copse__link_event { COPSE__LINK_EVENTS(X) COPSE__LINK_EVENT_COUNT };
#undef X

extern const uint8_t copse__opener[COPSE__OPENER_STATE_COUNT][COPSE__OPENER_EVENT_COUNT];
extern const uint8_t copse__callee[COPSE__CALLEE_STATE_COUNT][COPSE__CALLEE_EVENT_COUNT];
extern const uint8_t copse__out[COPSE__HALF_STATE_COUNT][COPSE__OUT_EVENT_COUNT];
extern const uint8_t copse__in[COPSE__HALF_STATE_COUNT][COPSE__IN_EVENT_COUNT];
extern const uint8_t copse__link[COPSE__LINK_STATE_COUNT][COPSE__LINK_EVENT_COUNT];

/* The same five with their names, for documents and tests. */
typedef struct copse__machine {
  const char *name;
  unsigned states, events;
  const char *const *state_names;
  const char *const *event_names;
  const uint8_t *cells; /* row by row */
} copse__machine;

enum { COPSE__MACHINE_COUNT = 5 };
extern const copse__machine copse__machines[COPSE__MACHINE_COUNT];

#endif
