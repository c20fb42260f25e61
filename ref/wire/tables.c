/* SPDX-License-Identifier: MIT
 *
 * The state machines of the protocol, as data.
 *
 * A context is three small machines at each end (a life and two halves) and a flag; a link is one
 * more. Their product is large and is never written out: a frame meets the life first and a half
 * only where the life lets it pass. Because these tables are what the engine runs on, the tables of
 * SPEC.md can be compared with them cell by cell, and a test can visit every cell.
 *
 * Columns stand in the order of the lists in tables.h; the comment over each block names them.
 */
#include "wire/tables.h"

#define V COPSE__VIOLATION
#define I COPSE__IGNORED
#define M COPSE__MISUSE
#define N COPSE__NOTHING
#define X COPSE__NEVER

/* clang-format off */

/* --- life, at the opener ---------------------------------------------------------------------- */
#define UN COPSE__OPENER_UNOPENED
#define OP COPSE__OPENER_OPENING
#define WA COPSE__OPENER_WAITING
#define ST COPSE__OPENER_STARTED
#define EN COPSE__OPENER_ENDED
const uint8_t copse__opener[COPSE__OPENER_STATE_COUNT][COPSE__OPENER_EVENT_COUNT] = {
  /*     received: STARTED ITEM END STOP CREDIT RETURN ERROR CANCELLED CANCELLED-after-CANCEL
   *     sent: OPEN+ OPEN ITEM END STOP CREDIT CANCEL; loss */
  [UN] = {V,  V,  V,  V,  V,  V,  V,  V,  X,    OP, WA, M,  M,  M,  M,  EN,   EN},
  [OP] = {V,  V,  V,  V,  V,  V,  V,  V,  EN,   OP, WA, M,  M,  OP, OP, OP,   EN},
  [WA] = {ST, V,  V,  WA, WA, EN, EN, EN, EN,   M,  M,  WA, WA, WA, WA, WA,   EN},
  [ST] = {V,  ST, ST, ST, ST, EN, EN, EN, EN,   M,  M,  ST, ST, ST, ST, ST,   EN},
  [EN] = {V,  V,  V,  V,  V,  V,  V,  V,  V,    M,  M,  M,  M,  N,  N,  N,    EN},
};
#undef UN
#undef OP
#undef WA
#undef ST
#undef EN

/* --- life, at the callee ---------------------------------------------------------------------- */
#define UN COPSE__CALLEE_UNOPENED
#define OP COPSE__CALLEE_OPENING
#define RU COPSE__CALLEE_RUNNING
#define ST COPSE__CALLEE_STARTED
#define EN COPSE__CALLEE_ENDED
const uint8_t copse__callee[COPSE__CALLEE_STATE_COUNT][COPSE__CALLEE_EVENT_COUNT] = {
  /*     received: OPEN+ OPEN ITEM END STOP CREDIT CANCEL
   *     sent: STARTED ITEM END STOP CREDIT RETURN ERROR CANCELLED CANCELLED-when-cancelled;
   *     cancelled, loss */
  [UN] = {OP, RU, V,  V,  V,  V,  V,    M,  M,  M,  M,  M,  M,  M,  M,  X,    X,  X},
  [OP] = {OP, RU, V,  V,  OP, OP, EN,   M,  M,  M,  M,  M,  M,  M,  M,  X,    OP, EN},
  [RU] = {V,  V,  RU, RU, RU, RU, RU,   ST, M,  M,  RU, RU, EN, EN, M,  EN,   RU, EN},
  [ST] = {V,  V,  ST, ST, ST, ST, ST,   M,  ST, ST, ST, ST, EN, EN, M,  EN,   ST, EN},
  [EN] = {V,  V,  I,  I,  I,  I,  I,    M,  M,  M,  N,  N,  M,  M,  M,  M,    EN, EN},
};
#undef UN
#undef OP
#undef RU
#undef ST
#undef EN

/* --- the half I send on, and the half I receive on -------------------------------------------- */
#define OP COPSE__HALF_OPEN
#define SP COPSE__HALF_STOPPED
#define EN COPSE__HALF_ENDED
const uint8_t copse__out[COPSE__HALF_STATE_COUNT][COPSE__OUT_EVENT_COUNT] = {
  /*     send ITEM, send END, STOP, CREDIT, send CANCEL, CANCEL, terminal */
  [OP] = {OP, EN, SP, OP, EN, EN, EN},
  [SP] = {N,  EN, I,  I,  EN, EN, EN},
  [EN] = {M,  M,  I,  I,  EN, EN, EN},
};
const uint8_t copse__in[COPSE__HALF_STATE_COUNT][COPSE__IN_EVENT_COUNT] = {
  /*     ITEM, END, send STOP, send CREDIT, send CANCEL, CANCEL, terminal */
  [OP] = {OP, EN, SP, OP, SP, EN, EN},
  [SP] = {SP, EN, N,  M,  SP, EN, EN},
  [EN] = {V,  V,  N,  N,  EN, EN, EN},
};
#undef OP
#undef SP
#undef EN

/* --- the link --------------------------------------------------------------------------------- */
#define HE COPSE__LINK_HELLO
#define OP COPSE__LINK_OPEN
#define CL COPSE__LINK_CLOSING
#define ED COPSE__LINK_CLOSED
const uint8_t copse__link[COPSE__LINK_STATE_COUNT][COPSE__LINK_EVENT_COUNT] = {
  /*     HELLO, BYE, BYE-CODE, PING, PONG, OPEN, other; send BYE; idle, fault, EOF */
  [HE] = {OP, ED, ED, V,  V,  V,  V,    ED,   X,  ED, ED},
  [OP] = {V,  CL, ED, OP, OP, OP, OP,   CL,   X,  ED, ED},
  [CL] = {V,  CL, ED, CL, CL, CL, CL,   CL,   ED, ED, ED},
  [ED] = {I,  I,  I,  I,  I,  I,  I,    N,    X,  ED, ED},
};
#undef HE
#undef OP
#undef CL
#undef ED

#undef V
#undef I
#undef M
#undef N
#undef X
/* clang-format on */

/* --- names ------------------------------------------------------------------------------------ */

#define X(name, text) text,
static const char *const opener_states[] = {COPSE__OPENER_STATES(X)};
static const char *const opener_events[] = {COPSE__OPENER_EVENTS(X)};
static const char *const callee_states[] = {COPSE__CALLEE_STATES(X)};
static const char *const callee_events[] = {COPSE__CALLEE_EVENTS(X)};
static const char *const half_states[] = {COPSE__HALF_STATES(X)};
static const char *const out_events[] = {COPSE__OUT_EVENTS(X)};
static const char *const in_events[] = {COPSE__IN_EVENTS(X)};
static const char *const link_states[] = {COPSE__LINK_STATES(X)};
static const char *const link_events[] = {COPSE__LINK_EVENTS(X)};
#undef X

const copse__machine copse__machines[COPSE__MACHINE_COUNT] = {
    {"opener", COPSE__OPENER_STATE_COUNT, COPSE__OPENER_EVENT_COUNT, opener_states, opener_events,
     copse__opener[0]},
    {"callee", COPSE__CALLEE_STATE_COUNT, COPSE__CALLEE_EVENT_COUNT, callee_states, callee_events,
     copse__callee[0]},
    {"out", COPSE__HALF_STATE_COUNT, COPSE__OUT_EVENT_COUNT, half_states, out_events,
     copse__out[0]},
    {"in", COPSE__HALF_STATE_COUNT, COPSE__IN_EVENT_COUNT, half_states, in_events, copse__in[0]},
    {"link", COPSE__LINK_STATE_COUNT, COPSE__LINK_EVENT_COUNT, link_states, link_events,
     copse__link[0]},
};
