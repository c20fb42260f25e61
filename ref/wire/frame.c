/* SPDX-License-Identifier: MIT
 *
 * The frame header, and what each kind of frame may be.
 *
 * Twelve bytes at fixed places: a receiver knows length, kind and context before it looks at any
 * payload, so most of what a peer could do wrong is found here, by a table and a few comparisons.
 */
#include "wire/engine.h"

void copse__frame_read(const uint8_t *at, copse__frame *frame) {
  frame->length = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
  frame->more = at[3] >> 7;
  frame->kind = at[3] & 0x7f;
  frame->context = (uint64_t)at[4] << 56 | (uint64_t)at[5] << 48 | (uint64_t)at[6] << 40 |
                   (uint64_t)at[7] << 32 | (uint64_t)at[8] << 24 | (uint64_t)at[9] << 16 |
                   (uint64_t)at[10] << 8 | at[11];
}

void copse__frame_write(uint8_t *at, copse__frame frame) {
  at[0] = (uint8_t)(frame.length >> 16);
  at[1] = (uint8_t)(frame.length >> 8);
  at[2] = (uint8_t)frame.length;
  at[3] = (uint8_t)(frame.kind | (frame.more ? 0x80u : 0u));
  at[4] = (uint8_t)(frame.context >> 56);
  at[5] = (uint8_t)(frame.context >> 48);
  at[6] = (uint8_t)(frame.context >> 40);
  at[7] = (uint8_t)(frame.context >> 32);
  at[8] = (uint8_t)(frame.context >> 24);
  at[9] = (uint8_t)(frame.context >> 16);
  at[10] = (uint8_t)(frame.context >> 8);
  at[11] = (uint8_t)frame.context;
}

enum { OPENER = 1, CALLEE = 2, BOTH = 3 };
#define LINK .known = true, .link = true
#define CONTROL .known = true, .limit = COPSE__CONTROL_MAX
#define EMPTY .known = true, .limit = 0
#define MESSAGE .known = true, .message = true
#define AT_OPENER(name) .opener_event = COPSE__OPENER_ON_##name
#define AT_CALLEE(name) .callee_event = COPSE__CALLEE_ON_##name
#define STREAM .feature = COPSE_FEATURE_STREAM

const copse__kind_rule copse__kind_rules[32] = {
    [COPSE_KIND_HELLO] = {LINK, .limit = COPSE__HELLO_MAX},
    [COPSE_KIND_BYE] = {LINK, .limit = COPSE__HELLO_MAX},
    [COPSE_KIND_PING] = {LINK, .limit = COPSE__CONTROL_MAX},
    [COPSE_KIND_PONG] = {LINK, .limit = COPSE__CONTROL_MAX},
    [COPSE_KIND_OPEN] = {MESSAGE, .from = OPENER, AT_CALLEE(OPEN)},
    [COPSE_KIND_STARTED] = {MESSAGE, .from = CALLEE, AT_OPENER(STARTED)},
    [COPSE_KIND_ITEM] = {MESSAGE, .from = BOTH, STREAM, AT_OPENER(ITEM), AT_CALLEE(ITEM)},
    [COPSE_KIND_END] = {EMPTY, .from = BOTH, AT_OPENER(END), AT_CALLEE(END)},
    [COPSE_KIND_STOP] = {EMPTY, .from = BOTH, STREAM, AT_OPENER(STOP), AT_CALLEE(STOP)},
    [COPSE_KIND_CREDIT] = {CONTROL, .from = BOTH, STREAM, AT_OPENER(CREDIT), AT_CALLEE(CREDIT)},
    [COPSE_KIND_CANCEL] = {CONTROL, .from = OPENER, AT_CALLEE(CANCEL)},
    [COPSE_KIND_RETURN] = {MESSAGE, .from = CALLEE, AT_OPENER(RETURN)},
    [COPSE_KIND_ERROR] = {MESSAGE, .from = CALLEE, AT_OPENER(ERROR)},
    [COPSE_KIND_CANCELLED] = {MESSAGE, .from = CALLEE, AT_OPENER(CANCELLED)},
};
