/* SPDX-License-Identifier: MIT
 *
 * The frame header, and what each kind of frame may be.
 *
 * Twelve bytes at fixed places: a receiver knows length, kind and context before it looks at any
 * payload, so most of what a peer could do wrong is found here, by a table and a few comparisons.
 */
#include "wire/engine.h"

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
